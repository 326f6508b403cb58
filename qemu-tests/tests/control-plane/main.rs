//! The control plane itself, with kubectl in a node's place, and a small fleet on it. Boots nothing; `make control-plane` first.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use qemu_vm::cluster::{self, ControlPlane, Kubectl, TOKEN, Wanted};
use qemu_vm::deadline::Deadline;
use qemu_vm::evidence::Evidence;
use qemu_vm::fleet::{self, Plan};
use qemu_vm::registry::Pair;
use qemu_vm::tools::{self, Tools};
use qemu_vm::workspace::Workspace;
use serde_json::{Value, json};

/// An answer that comes at once on a quiet host.
const SOON: Duration = Duration::from_secs(60);

/// A cluster, whose logs stay under `target/qemu-tests/NAME` if `test` fails.
fn with_cluster(name: &str, test: impl FnOnce(&Tools, ControlPlane) -> Result<()>) -> Result<()> {
    let workspace = Workspace::find();
    let tools = Tools::find(&workspace)?;
    let evidence = Evidence::fresh(workspace.own(name))?;
    let plane = ControlPlane::start(&workspace, &tools, evidence.folder(), Wanted::default())?;
    test(&tools, plane)?;
    evidence.discard();
    Ok(())
}

/// What a node does: a certificate for its token, then its Node.
#[test]
fn a_node_joins_by_a_token() -> Result<()> {
    with_cluster("control-plane-joins", joins)
}

fn joins(tools: &Tools, mut plane: ControlPlane) -> Result<()> {
    let guest = plane.kubectl_as("token", &plane.kubeconfig()?.token(TOKEN))?;
    ensure!(guest.refused(&["get", "nodes"])?.contains("system:bootstrap:abcdef"), "a token may not look at nodes");

    let folder = tempfile::tempdir()?;
    let pair = certificate(tools, &plane.kubectl, &guest, folder.path(), "one")?;
    let node = plane.kubectl_as("one", &plane.kubeconfig()?.signed(&pair)?)?;
    let object = |name: &str| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}).to_string();
    node.reading(&object("one"), &["create", "--validate=false", "-f", "-"])?;
    let other =
        node.reading(&object("two"), &["create", "--validate=false", "-f", "-"]).err().context("it may be two")?;
    ensure!(other.to_string().contains("not allowed to modify node"), "{other}");
    println!("{}", plane.kubectl.run(&["get", "nodes"])?);

    // What it knew it knows after a crash.
    plane.stop_api()?;
    plane.kubectl.refused(&["get", "nodes", "--request-timeout=5s"])?;
    plane.start_api()?;
    let nodes = plane.kubectl.get(&["nodes"])?;
    ensure!(nodes["items"][0]["metadata"]["name"] == "one", "the nodes are {nodes}");
    ensure!(plane.api_cpu()? > Duration::ZERO, "the API server worked without any time");
    Ok(())
}

/// As kubeadm's discovery does it: the authority is found without knowing it, and held against its hash.
#[test]
fn the_authority_is_found_by_its_hash() -> Result<()> {
    with_cluster("control-plane-hash", is_found)
}

fn is_found(tools: &Tools, plane: ControlPlane) -> Result<()> {
    // In the name of nobody: who looks for the authority has no other.
    let map = plane.kubectl.get(&["configmap", "cluster-info", "--namespace=kube-public", "--as=system:anonymous"])?;
    let reported: Value = serde_json::from_str(map["data"]["kubeconfig"].as_str().context("no kubeconfig in it")?)?;
    let cluster = &reported["clusters"][0]["cluster"];
    ensure!(cluster["server"] == plane.url().as_str(), "{reported}");
    let pem = STANDARD.decode(cluster["certificate-authority-data"].as_str().context("no authority in it")?)?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("ca.crt");
    std::fs::write(&file, pem)?;
    let mut openssl = tools.openssl();
    openssl.args(["x509", "-noout", "-pubkey", "-in"]).arg(&file);
    let key = String::from_utf8(tools::output("openssl", &mut openssl)?)?;
    let der: String = key.lines().filter(|line| !line.starts_with('-')).collect();
    let hex: String = sha256(&STANDARD.decode(der)?);
    ensure!(plane.authority.hash()? == format!("sha256:{hex}"), "{} is not {hex}", plane.authority.hash()?);
    Ok(())
}

/// With a node's credential and Ballast's rights, of what others go by only its own can be written.
#[test]
fn a_stolen_node_writes_only_its_own() -> Result<()> {
    with_cluster("control-plane-stolen", writes_only_its_own)
}

fn writes_only_its_own(_: &Tools, plane: ControlPlane) -> Result<()> {
    let admin = &plane.kubectl;
    cluster::install(admin)?;
    cluster::slots(admin, "default", 1)?;
    cluster::node_oses(admin, &["victim".into()])?;
    for name in ["thief", "victim"] {
        cluster::claims(admin, name, "default-0", "")?;
    }
    let pair = plane.authority.sign("thief", "/O=system:nodes/CN=system:node:thief", None)?;
    let thief = plane.kubectl_as("thief", &plane.kubeconfig()?.signed(&pair)?)?;
    // What it may: read who has which slot, and say on its own Lease what it has.
    thief.get(&["leases", "--namespace=kube-node-lease", "--selector=os.ballast.dev/slot"])?;
    thief.get(&["leases", "--namespace=ballast-system"])?;
    let claims = |node: &str| {
        let text = json!({"metadata": {"labels": {"os.ballast.dev/slot": "default-1"}}}).to_string();
        ["patch", "lease", node, "--namespace=kube-node-lease", "--type=merge", "--patch", &text].map(str::to_owned)
    };
    thief.run(&claims("thief").each_ref().map(String::as_str))?;
    // What it may not.
    let spec = json!({"spec": {"image": "registry.example/ballast@sha256:00"}}).to_string();
    let holder = json!({"spec": {"holderIdentity": "victim"}}).to_string();
    let victims = claims("victim");
    let free = ["label", "lease", "victim", "--namespace=kube-node-lease", "os.ballast.dev/slot-"];
    let slot = ["patch", "lease", "default-0", "--namespace=ballast-system", "--type=merge", "--patch", &holder];
    let as_before = [&slot[..], &["--as=system:serviceaccount:ballast-system:node-slots"]].concat();
    let refused: [&[&str]; 6] = [
        &victims.each_ref().map(String::as_str),
        &free,
        &slot,
        &as_before,
        &["patch", "nodeos", "victim", "--type=merge", "--patch", &spec],
        &["delete", "nodeos", "victim"],
    ];
    for arguments in refused {
        let warning = thief.refused(arguments)?;
        ensure!(warning.contains("forbidden") || warning.contains("Forbidden"), "{arguments:?}: {warning}");
    }
    let forged = json!({"apiVersion": "os.ballast.dev/v1alpha1", "kind": "NodeOS", "metadata": {"name": "not-yet"},
        "spec": {"image": "registry.example/ballast@sha256:00"}});
    ensure!(thief.reading(&forged.to_string(), &["create", "-f", "-"]).is_err(), "it may make a NodeOS for another");
    let lease = admin.get(&["lease", "victim", "--namespace=kube-node-lease"])?;
    ensure!(lease["metadata"]["labels"]["os.ballast.dev/slot"] == "default-0", "the victim's Lease is {lease}");
    Ok(())
}

/// A joined node is no black hole: the real scheduler, and a pod that was bound before the node came.
#[test]
fn a_node_without_a_kubelet_gets_no_pods() -> Result<()> {
    with_cluster("control-plane-no-kubelet", gets_no_pods)
}

fn gets_no_pods(_: &Tools, plane: ControlPlane) -> Result<()> {
    const NODE: &str = "fleet-0001";
    let kubectl = &plane.kubectl;
    cluster::install(kubectl)?;
    cluster::node_oses(kubectl, &[NODE.into()])?;
    kubectl.when("pods can be made", Deadline::after(SOON), &["serviceaccount", "default"], |_| true)?;
    cluster::bind(kubectl, NODE, "before")?;
    let _fleet = fleet::start(&plane, 1)?;
    cluster::is_handed_back(kubectl, "before")?;
    kubectl.run(&["delete", "pod", "before", "--wait=false"])?;
    cluster::offers_no_pods(kubectl, NODE, &[])
}

/// All that the fleet is measured in happens, in small: they register, survive the API server, and upgrade two at a time.
#[test]
fn a_small_fleet() -> Result<()> {
    let plan = Plan { nodes: 5, steady: Duration::from_secs(20), max_unavailable: 2 };
    let figures = fleet::measure("control-plane-fleet", plan)?;
    // Twenty seconds are two heartbeats each, of which one may just miss them, and what comes every five minutes for some.
    ensure!((2.0..20.0).contains(&figures.requests_per_node_per_minute), "{figures:?}");
    Ok(())
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(bytes))
}

/// Asks for the certificate of the node `name`, and waits until it is signed.
fn certificate(tools: &Tools, admin: &Kubectl, guest: &Kubectl, folder: &std::path::Path, name: &str) -> Result<Pair> {
    let pair = Pair { certificate: folder.join("node.crt"), key: folder.join("node.key") };
    let mut openssl = tools.openssl();
    openssl.args(["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj"]);
    openssl.arg(format!("/O=system:nodes/CN=system:node:{name}")).arg("-keyout").arg(&pair.key);
    let request = STANDARD.encode(tools::output("openssl", &mut openssl)?);
    let usages = ["digital signature", "key encipherment", "client auth"];
    let object = json!({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
        "metadata": {"name": "request"},
        "spec": {"request": request, "usages": usages, "signerName": "kubernetes.io/kube-apiserver-client-kubelet"}});
    guest.reading(&object.to_string(), &["create", "--validate=false", "-f", "-"])?;
    let signed = admin.when("the certificate", Deadline::after(SOON), &["csr", "request"], |csr| {
        csr["status"]["certificate"].is_string()
    })?;
    let pem = STANDARD.decode(signed["status"]["certificate"].as_str().context("no certificate")?)?;
    std::fs::write(&pair.certificate, pem)?;
    Ok(pair)
}
