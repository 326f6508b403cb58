//! A node on which no kubelet runs, against the real scheduler: nothing is bound to it, and what is bound past the scheduler is handed back.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::kubectl::Kubectl;
use crate::deadline::Deadline;

/// An event or an object that comes at once on a quiet host.
const SOON: u64 = 120;
/// A pod that nobody runs is Terminating no longer than this.
const NO_LONGER: u64 = 60;

/// The pods of Deployments stay unscheduled, and an event says why: one tolerates the node's other taints, `tolerated`, the other everything, as
/// DaemonSets do. A pod that is bound to `node` by its name fails, and is gone when it is deleted.
///
/// # Errors
/// When one of it is otherwise.
pub fn offers_no_pods(kubectl: &Kubectl, node: &str, tolerated: &[&str]) -> Result<()> {
    kubectl.when("pods can be made", Deadline::secs(SOON), &["serviceaccount", "default"], |_| true)?;
    let some = tolerated.iter().map(|key| json!({"key": key, "operator": "Exists"})).collect();
    deploys(kubectl, "plain", some, "os.ballast.dev/no-kubelet")?;
    deploys(kubectl, "tolerant", vec![json!({"operator": "Exists"})], "Too many pods")?;
    let pods = kubectl.get(&["pods", "--selector=app in (plain, tolerant)"])?;
    let pods = pods["items"].as_array().context("there are no pods")?;
    ensure!(pods.len() == 4 && pods.iter().all(|pod| pod["spec"]["nodeName"].is_null()), "a pod is bound: {pods:?}");
    kubectl.run(&["delete", "deployment", "plain", "tolerant"])?;

    bind(kubectl, node, "bound")?;
    is_handed_back(kubectl, "bound")?;
    kubectl.run(&["delete", "pod", "bound", "--wait=false"])?;
    no_pods(kubectl)
}

/// Waits until the pod has failed, since nobody runs it.
///
/// # Errors
/// When it is not in time.
pub fn is_handed_back(kubectl: &Kubectl, name: &str) -> Result<()> {
    let failed = |pod: &Value| pod["status"]["phase"] == "Failed" && pod["status"]["reason"] == "NoKubelet";
    kubectl.when("a pod that is bound is handed back", Deadline::secs(NO_LONGER), &["pod", name], failed).map(drop)
}

/// Two pods of a Deployment, which an event says cannot be scheduled because of `why`.
fn deploys(kubectl: &Kubectl, name: &str, tolerations: Vec<Value>, why: &str) -> Result<()> {
    let mut template = template(name);
    template["spec"]["tolerations"] = tolerations.into();
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": template}});
    kubectl.apply(&deployment.to_string())?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let says = |event: &Value| {
        event["reason"] == "FailedScheduling"
            && text(&event["involvedObject"]["name"]).starts_with(name)
            && text(&event["message"]).contains(why)
    };
    let what = format!("an event says that no pod of {name} is scheduled, since {why}");
    let events = ["events", "--namespace=default"];
    kubectl
        .when(&what, Deadline::secs(SOON), &events, |list| list["items"].as_array().into_iter().flatten().any(says))
        .map(drop)
}

fn template(name: &str) -> Value {
    json!({"metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": name, "image": "registry.example/pod:1"}]}})
}

/// A pod that is bound to the node by its name, past the scheduler.
///
/// # Errors
/// When the cluster does not take it.
pub fn bind(kubectl: &Kubectl, node: &str, name: &str) -> Result<()> {
    let mut pod = template(name);
    pod["apiVersion"] = "v1".into();
    pod["kind"] = "Pod".into();
    pod["metadata"]["name"] = name.into();
    pod["spec"]["nodeName"] = node.into();
    kubectl.apply(&pod.to_string())
}

/// Waits until no pod is left: none hangs in Terminating.
///
/// # Errors
/// When some are not gone in time.
pub fn no_pods(kubectl: &Kubectl) -> Result<()> {
    let gone = Deadline::secs(NO_LONGER).poll(Duration::from_secs(1), || {
        let pods = kubectl.get(&["pods"])?;
        Ok::<_, anyhow::Error>(pods["items"].as_array().is_some_and(Vec::is_empty).then_some(()))
    })?;
    gone.context("pods are left that were deleted")
}
