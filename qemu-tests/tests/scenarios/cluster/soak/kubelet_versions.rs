//! L11 and L12: versions of the kubelet, named by the NodeOS: one boot in which one is tried after the other.

use anyhow::{Context, Result, ensure};
use qemu_vm::cluster::{self, ControlPlane, Wanted};
use qemu_vm::deadline::Deadline;
use qemu_vm::node::Node;
use qemu_vm::release_server::ReleaseServer;
use qemu_vm::scenario::{Cases, Scenario};
use qemu_vm::status::Status;
use serde_json::{Value, json};

use super::super::kubelet::joining;
use super::super::{is, node_when, os_when, text};

/// A fetch, a drain and a start, on a busy emulated node.
const LONG: u64 = 400;
const POOL: &str = "default";

/// As the tests' kubelet calls itself, and what it is called besides: the API server is 1.20.
const PATCH: &str = "1.20.99";
const BROKEN: &str = "1.20.100";
const OLDER: &str = "1.19.9";
const NEWER: &str = "1.21.0";

struct Hosted {
    plane: ControlPlane,
    node: Node,
    name: String,
    server: ReleaseServer,
    boot: String,
}

type Case = (&'static str, fn(&mut Hosted) -> Result<()>);

const CASES: [Case; 4] = [
    ("L11 a patch restarts the kubelet alone", patch),
    ("L11 a bad artifact falls back without a reboot", broken),
    ("L12 another minor version waits for slot and drain", minor),
    ("L12 one that is newer than the API server is refused", newer),
];

#[test]
fn l11_l12_the_cluster_names_the_kubelet() {
    Scenario::run("l11_l12", |scenario| {
        let plane = scenario.control_plane("cluster", Wanted::default())?;
        cluster::install(&plane.kubectl)?;
        cluster::trust_nodes(&plane.kubectl)?;
        cluster::slots(&plane.kubectl, POOL, 1)?;
        let server = ReleaseServer::open(&scenario.lab.tools, scenario.scratch())?;
        let folder = |name: &str| scenario.scratch().join(name);
        let first = plane.kubelet(&folder("first"))?;
        let image = server.publish_layout(&folder("first"), &first)?;
        for version in [PATCH, OLDER, NEWER] {
            plane.kubelet_called(version, &folder(version))?;
            server.publish_layout(&folder(version), version)?;
        }
        plane.broken_kubelet(BROKEN, &folder(BROKEN))?;
        server.publish_layout(&folder(BROKEN), BROKEN)?;
        let pods = server.publish_pod(&plane.agnhost(&folder("agnhost.oci"))?, "agnhost")?;
        let (mut node, name) = joining(scenario, &plane, &server, &image)?;
        node.status_when("the kubelet is healthy", LONG, |status| is_healthy(status, &first))?;
        let boot = node.guest.ask("cat /proc/sys/kernel/random/boot_id")?;
        let mut hosted = Hosted { plane, node, name, server, boot };
        deploy(&hosted, &pods)?;
        let mut cases = Cases::default();
        for (name, case) in CASES {
            cases.note(name, case(&mut hosted));
        }
        println!("{}", hosted.plane.kubectl.run(&["get", "nodeos", "--output=yaml"])?);
        let boot = hosted.node.guest.ask("cat /proc/sys/kernel/random/boot_id")?;
        ensure!(boot == hosted.boot, "it was rebooted");
        cases.end()?;
        hosted.node.power_off()
    });
}

fn is_healthy(status: &Status, version: &str) -> bool {
    status
        .kubelet
        .as_ref()
        .is_some_and(|kubelet| kubelet.state == "healthy" && kubelet.version.as_deref() == Some(version))
}

fn deploy(hosted: &Hosted, image: &str) -> Result<()> {
    let kubectl = &hosted.plane.kubectl;
    kubectl.when("pods can be made", Deadline::secs(LONG), &["serviceaccount", "default"], |_| true)?;
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"terminationGracePeriodSeconds": 5,
        "containers": [{"name": "web", "image": image, "args": ["netexec"]}]}});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template}});
    kubectl.apply(&deployment.to_string())?;
    container(hosted).map(drop)
}

/// The container of the one pod that is ready.
fn container(hosted: &Hosted) -> Result<String> {
    let alive = |pod: &&Value| is(pod, "Ready", "True") && pod["metadata"]["deletionTimestamp"].is_null();
    let ready = |list: &Value| list["items"].as_array().into_iter().flatten().filter(alive).count() == 1;
    let what = ["pods", "--selector=app=web"];
    let list = hosted.plane.kubectl.when("its pod is ready", Deadline::secs(LONG), &what, ready)?;
    let pod = list["items"].as_array().into_iter().flatten().find(alive).context("it is gone")?;
    Ok(text(pod, "/status/containerStatuses/0/containerID").to_owned())
}

/// The NodeOS names the kubelet that is called `version`.
fn ask(hosted: &Hosted, version: &str) -> Result<()> {
    let image = hosted.server.name(version);
    hosted.plane.kubectl.patch(&["nodeos", &hosted.name], &json!({"spec": {"kubelet": {"image": image}}}))
}

fn patch(hosted: &mut Hosted) -> Result<()> {
    let before = container(hosted)?;
    ask(hosted, PATCH)?;
    hosted.node.status_when("the patch is healthy", LONG, |status| is_healthy(status, PATCH))?;
    ensure!(container(hosted)? == before, "the pod did not run on");
    os_when(&hosted.plane.kubectl, &hosted.name, LONG, "the NodeOS has it", |os| {
        text(os, "/status/kubelet/version") == PATCH && text(os, "/status/phase") == "Idle"
    })?;
    Ok(())
}

fn broken(hosted: &mut Hosted) -> Result<()> {
    let before = container(hosted)?;
    ask(hosted, BROKEN)?;
    let fell_back = |status: &Status| {
        let failed =
            status.kubelet.as_ref().is_some_and(|kubelet| kubelet.failed.iter().any(|one| one.version == BROKEN));
        failed && is_healthy(status, PATCH)
    };
    let status = hosted.node.status_when("the one before is healthy again", LONG, fell_back)?;
    let says = |reason: &String| reason.contains(BROKEN) && reason.contains("runs in its place");
    ensure!(status.reasons.iter().any(says), "the status says {:?}", status.reasons);
    ensure!(container(hosted)? == before, "the pod did not run on");
    let os = os_when(&hosted.plane.kubectl, &hosted.name, LONG, "the NodeOS says why", |os| {
        text(os, "/status/phase") == "Failed" && text(os, "/status/kubelet/failed/0/version") == BROKEN
    })?;
    ensure!(text(&os, "/status/message").contains("ended 3 times"), "it says {}", os["status"]["message"]);
    Ok(())
}

fn minor(hosted: &mut Hosted) -> Result<()> {
    let kubectl = hosted.plane.kubectl.clone();
    let before = container(hosted)?;
    // Another node has the only slot.
    cluster::claims(&kubectl, "worker-9", &format!("{POOL}-0"), "a test keeps it")?;
    ask(hosted, OLDER)?;
    os_when(&kubectl, &hosted.name, LONG, "it waits for the slot", |os| {
        text(os, "/status/phase") == "WaitingForSlot" && text(os, "/status/kubelet/next/version") == OLDER
    })?;
    let status = hosted.node.status()?;
    ensure!(is_healthy(&status, PATCH), "it did not wait: {:?}", status.kubelet);
    ensure!(container(hosted)? == before, "the pod did not run on");
    cluster::frees(&kubectl, "worker-9")?;
    hosted.node.status_when("the other minor version is healthy", LONG, |status| is_healthy(status, OLDER))?;
    os_when(&kubectl, &hosted.name, LONG, "all is given back", |os| text(os, "/status/phase") == "Idle")?;
    node_when(&kubectl, &hosted.name, "it is uncordoned", |node| node["spec"]["unschedulable"] != true)?;
    ensure!(cluster::held(&kubectl, POOL)?.is_empty(), "the slot is still held");
    ensure!(container(hosted)? != before, "the node was not drained");
    Ok(())
}

fn newer(hosted: &mut Hosted) -> Result<()> {
    ask(hosted, NEWER)?;
    let says = |reason: &String| reason.contains("kubelet 1.21.0 may not speak to the API server: it is newer");
    let status = hosted.node.status_when("it is refused", LONG, |status| status.reasons.iter().any(says))?;
    ensure!(is_healthy(&status, OLDER), "the one before does not run: {:?}", status.kubelet);
    Ok(())
}
