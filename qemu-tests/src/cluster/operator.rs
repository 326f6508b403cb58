//! What an operator does to a cluster for Ballast: the manifests, a pool's slots, the wanted release of a node.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::kubectl::Kubectl;

/// What an operator installs.
const MANIFESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../node-agent/manifests");
/// Where slots are; the manifests make it.
const NAMESPACE: &str = "ballast-system";
/// Of which pool a Lease is a slot.
const POOL: &str = "os.ballast.dev/pool";

/// Installs CRD and RBAC as a GitOps user does: `kubectl apply -k node-agent/manifests`.
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

/// Who holds which slot of a pool: name of the Lease, holder, and what it says it is at.
///
/// # Errors
/// When the cluster does not answer.
pub fn held(kubectl: &Kubectl, pool: &str) -> Result<Vec<Held>> {
    let selector = format!("{POOL}={pool}");
    let leases = kubectl.get(&["leases", "--namespace", NAMESPACE, "--selector", &selector])?;
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let held = leases["items"].as_array().into_iter().flatten().filter_map(|lease| {
        let reason = text(&lease["metadata"]["annotations"]["os.ballast.dev/reason"]);
        Some(Held { holder: text(&lease["spec"]["holderIdentity"])?, reason })
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
