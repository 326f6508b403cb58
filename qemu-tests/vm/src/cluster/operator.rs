//! What an operator does to a cluster for Ballast: the manifests, a pool's slots, the wanted release of a node.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::kubectl::Kubectl;

/// What an operator installs on this version, which knows no admission policies.
const MANIFESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../node-agent/manifests/base");
/// Where slots are; the manifests make it.
const NAMESPACE: &str = "ballast-system";
/// Of which pool a Lease is a slot.
const POOL: &str = "os.ballast.dev/pool";
/// Where nodes say which slot they have, and by what label.
const CLAIMS: &str = "kube-node-lease";
const SLOT: &str = "os.ballast.dev/slot";

/// Installs CRD and RBAC as a GitOps user does: `kubectl apply -k node-agent/manifests/base`.
///
/// # Errors
/// When the cluster does not take them.
pub fn install(kubectl: &Kubectl) -> Result<()> {
    apply(kubectl, "-k", MANIFESTS)
}

/// Installs the CRD only: nobody may do anything with it yet.
///
/// # Errors
/// As [`install`].
pub fn install_only_types(kubectl: &Kubectl) -> Result<()> {
    apply(kubectl, "-f", &format!("{MANIFESTS}/crd.yaml"))
}

fn apply(kubectl: &Kubectl, option: &str, place: &str) -> Result<()> {
    let place = Path::new(place).canonicalize().with_context(|| format!("looking for {place}"))?;
    kubectl.run(&["apply", option, &place.display().to_string()]).context("installing Ballast's manifests")?;
    kubectl.run(&["wait", "--for=condition=Established", "--timeout=30s", "crd/nodeoses.os.ballast.dev"]).map(drop)
}

/// Lets nodes make their NodeOS by themselves. Without the admission policy, for which this version is too old, a node may make any.
///
/// # Errors
/// When the cluster does not take it.
pub fn trust_nodes(kubectl: &Kubectl) -> Result<()> {
    list(kubectl, ballast_cluster::manifests::creation()).context("letting nodes make their NodeOS")
}

/// Makes a NodeOS that asks for nothing for each of these nodes.
///
/// # Errors
/// As [`wants`].
pub fn node_oses(kubectl: &Kubectl, nodes: &[String]) -> Result<()> {
    let bare =
        |name: &String| json!({"apiVersion": "os.ballast.dev/v1alpha1", "kind": "NodeOS", "metadata": {"name": name}});
    list(kubectl, nodes.iter().map(bare).collect()).context("making NodeOS objects")
}

/// Claims a slot in the name of a node, as only that node and an administrator can. [`frees`] ends it.
///
/// # Errors
/// When the cluster does not take it.
pub fn claims(kubectl: &Kubectl, node: &str, slot: &str, reason: &str) -> Result<()> {
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": {"holderIdentity": node},
        "metadata": {"name": node, "namespace": CLAIMS, "labels": {SLOT: slot}, "annotations": {"os.ballast.dev/reason": reason}}});
    list(kubectl, vec![lease]).with_context(|| format!("claiming {slot} for {node}"))
}

/// Removes the Lease of a node that is not there.
///
/// # Errors
/// When the cluster does not take it.
pub fn frees(kubectl: &Kubectl, node: &str) -> Result<()> {
    kubectl.run(&["delete", "lease", node, "--namespace", CLAIMS]).map(drop)
}

/// Makes the slots `POOL-0` and so on of a pool: at most `count` of its nodes are down at once.
///
/// # Errors
/// When the cluster does not take them.
pub fn slots(kubectl: &Kubectl, pool: &str, count: usize) -> Result<()> {
    let slot = |number| {
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": format!("{pool}-{number}"), "namespace": NAMESPACE, "labels": {POOL: pool}}})
    };
    list(kubectl, (0..count).map(slot).collect()).with_context(|| format!("making the slots of the pool {pool}"))
}

/// Makes `image` the release that these nodes shall run.
///
/// # Errors
/// When the cluster does not take it.
pub fn wants(kubectl: &Kubectl, nodes: &[String], image: &str) -> Result<()> {
    let wanted = |name: &String| {
        json!({"apiVersion": "os.ballast.dev/v1alpha1", "kind": "NodeOS",
            "metadata": {"name": name}, "spec": {"image": image}})
    };
    list(kubectl, nodes.iter().map(wanted).collect()).with_context(|| format!("asking for {image}"))
}

/// One write for each, as an operator's tool and without a look at what is there.
fn list(kubectl: &Kubectl, items: Vec<Value>) -> Result<()> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    kubectl
        .reading(&list, &["apply", "--server-side", "--field-manager=operator", "--validate=false", "-f", "-"])
        .map(drop)
}

/// Who holds which slot of a pool: the holder, and what it says it is at.
///
/// # Errors
/// When the cluster does not answer.
pub fn held(kubectl: &Kubectl, pool: &str) -> Result<Vec<Held>> {
    let of_pool = format!("{POOL}={pool}");
    let slots = kubectl.get(&["leases", "--namespace", NAMESPACE, "--selector", &of_pool])?;
    let claims = kubectl.get(&["leases", "--namespace", CLAIMS, "--selector", SLOT])?;
    let items = |list: &Value| list["items"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let names: Vec<Value> = items(&slots).iter().map(|slot| slot["metadata"]["name"].clone()).collect();
    let held = items(&claims).into_iter().filter_map(|lease| {
        let metadata = &lease["metadata"];
        let is_of_pool = names.contains(&metadata["labels"][SLOT]);
        let reason = text(&metadata["annotations"]["os.ballast.dev/reason"]);
        is_of_pool.then_some(Held { holder: text(&metadata["name"])?, reason })
    });
    Ok(held.collect())
}

/// A slot that somebody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The node
    pub holder: String,
    /// What it is at, or why it is stuck
    pub reason: Option<String>,
}
