//! The status of the node: the form in which it is published, and read by the command line.

use ballast_types::GoingDown;
use serde::{Deserialize, Serialize};

use super::boot::Boot;
use crate::settings::model::Sources;

/// Everything that `ballast status` reports. The JSON keys are an interface: add, do not rename.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The release that runs.
    pub os: Os,
    /// Whether the container runtime is ready and the agent has taken over.
    pub ready: bool,
    /// What is wrong, one sentence each. A node can be ready and still have reasons: it is degraded then.
    pub reasons: Vec<String>,
    /// The times of this boot.
    pub boot: Boot,
    /// Which node this is.
    pub node: Node,
    /// The releases on the disk, the booted one first.
    pub deployments: Vec<Deployment>,
    /// The container runtime.
    pub runtime: Runtime,
    /// What runs here.
    pub pods: Vec<Pod>,
    /// The space on /var.
    #[serde(default)]
    pub disk: Disk,
    /// The clusters that this node belongs to.
    pub clusters: Vec<Cluster>,
    /// The kubelet that runs a cluster's pods here; not there on a node without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubelet: Option<Kubelet>,
    /// The sources of its settings, and what in them does not apply.
    #[serde(default)]
    pub settings: Sources,
    /// Where operators elsewhere reach it; null if the settings do not say so.
    #[serde(default)]
    pub api: Option<Api>,
    /// That it is about to go down, as somebody asked; null: it is not.
    #[serde(default)]
    pub going_down: Option<GoingDown>,
}

/// Where operators elsewhere reach the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Api {
    /// ADDRESS:PORT where it listens.
    pub address: String,
    /// By what the node is known there: `sha256:` and the SHA-256 of its certificate.
    pub fingerprint: String,
}

/// The operating system.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Os {
    /// ID of os-release(5).
    pub id: String,
    /// VERSION_ID of os-release(5).
    pub version: String,
    /// The ostree commit that was booted.
    pub commit: Option<String>,
    /// The manifest digest of the OCI image that it came as.
    pub digest: Option<String>,
}

/// The node's identity.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub hostname: String,
    /// Its machine-id(5).
    pub machine_id: String,
}

/// A release on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Its version.
    pub version: String,
    /// Its ostree commit.
    pub commit: String,
    /// The manifest digest of the OCI image that it came as.
    pub digest: Option<String>,
    /// Whether it runs now.
    pub booted: bool,
    /// Whether it is the next to boot.
    pub next: bool,
    /// `trial`, `good` or `failed`; `unknown` while there is no boot entry to say it.
    pub state: String,
}

/// The container runtime.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runtime {
    /// What it calls itself.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Whether it is ready.
    pub ready: bool,
    /// How often it was restarted in this boot.
    pub restarts: u32,
}

/// The space on /var, and what was removed since the agent was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Bytes in all; 0 before they were first asked for.
    pub total_bytes: u64,
    /// Bytes that pods may still use.
    pub available_bytes: u64,
    /// Whether bytes or inodes are short, as in Kubernetes' DiskPressure.
    pub pressure: bool,
    /// How many unused images were removed.
    pub images_removed: u64,
    /// How many pods were evicted.
    pub evictions: u64,
}

/// A pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pod {
    /// Its name in its namespace.
    pub name: String,
    /// Its namespace; `default` if the manifest names none.
    pub namespace: String,
    /// Pending, Running, Succeeded, Failed.
    pub phase: String,
    /// Whether all of its containers are ready to serve.
    #[serde(default)]
    pub ready: bool,
    /// Why it is over: `Evicted`, `DeadlineExceeded`, `BackoffLimitExceeded`; null if it is not, or its containers say why.
    #[serde(default)]
    pub reason: Option<String>,
    /// What is wrong with it, or why it is not ready, in a sentence.
    #[serde(default)]
    pub message: Option<String>,
    /// Its address; on the node's network that of the node.
    #[serde(default)]
    pub ip: Option<String>,
    /// When it first began, in seconds since 1970.
    #[serde(default)]
    pub started_at: Option<u64>,
    /// Its containers, in the order of their start.
    pub containers: Vec<Container>,
    /// Parts of its manifest that have no effect on this node: `LINE: KEY: sentence`.
    #[serde(default)]
    pub without_effect: Vec<String>,
}

/// A container of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// `main`, `init` or `sidecar`.
    #[serde(default)]
    pub role: String,
    /// `waiting`, `running` or `exited`.
    pub state: String,
    /// Whether it is ready to serve.
    #[serde(default)]
    pub ready: bool,
    /// Whether it runs and its startup probe succeeded, if it has one.
    #[serde(default)]
    pub started: bool,
    /// How often it was started again.
    pub restarts: u32,
    /// When it starts again, in seconds since 1970, if it waits for that.
    #[serde(default)]
    pub next_start_at: Option<u64>,
    /// How its latest run ended; null while it runs.
    #[serde(default)]
    pub ended: Option<Ended>,
    /// How the run before that ended, if it is known.
    #[serde(default)]
    pub last_ended: Option<Ended>,
}

/// How a run of a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// Its exit status.
    pub exit_code: i32,
    /// Why, in one word (`OOMKilled`, `StartError`, …); empty if the runtime does not know.
    pub reason: String,
    /// Why, in its own last word or the runtime's sentence; empty if there is none.
    pub message: String,
    /// When, in seconds since 1970.
    #[serde(default)]
    pub at: u64,
}

/// A cluster that this node belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Its name in the settings.
    pub name: String,
    /// `node`, or `report-only`.
    pub role: String,
    /// The name of its Node and NodeOS there, once it is known.
    pub node: Option<String>,
    /// `off`, `waiting-for-clock`, `joining`, `connected`, `unreachable` (it does not answer) or `refused` (it does not let this node in).
    pub state: String,
    /// The API server that the node is connected to.
    pub server: Option<String>,
    /// Since when it does not answer, in seconds since 1970.
    pub since: Option<u64>,
    /// What is wrong, in a sentence.
    pub reason: Option<String>,
    /// Until when this node's certificate holds there, in seconds since 1970.
    pub certificate_until: Option<u64>,
    /// The state of the upgrade that its NodeOS asks for: `PHASE: message`.
    pub rollout: Option<String>,
    /// What was sent and received since the agent was started.
    pub traffic: Traffic,
}

/// The kubelet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kubelet {
    /// The version that runs, or is about to.
    pub version: Option<String>,
    /// The manifest digest of its artifact.
    pub digest: Option<String>,
    /// `fetching`, `waiting-for-cluster`, `starting`, `trial`, `healthy`, `silent`, `failed` or `refused`.
    pub state: String,
    /// The version that waits for a slot of the cluster and for the drain: another minor version than the one that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// How often it was restarted since its last start by the agent.
    pub restarts: u32,
    /// Versions that failed on this node, and are not started again.
    pub failed: Vec<FailedKubelet>,
}

/// A version of the kubelet that failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedKubelet {
    /// Which.
    pub version: String,
    /// The manifest digest of its artifact.
    pub digest: String,
    /// Why, in a sentence.
    pub reason: String,
    /// When, in seconds since 1970.
    pub at: u64,
}

/// Requests to a cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// How many were sent.
    pub requests: u64,
    /// How many of them were answered by an error, or not at all.
    pub errors: u64,
    /// Bytes that were sent.
    pub bytes_sent: u64,
    /// Bytes that were received.
    pub bytes_received: u64,
}

/// The state as systemd shows it, in one line.
pub fn summary(status: &Status) -> String {
    let state = match (status.ready, status.reasons.is_empty()) {
        (true, true) => "ready",
        (true, false) => "ready, degraded",
        (false, _) => "not ready",
    };
    match status.reasons.as_slice() {
        [] => state.to_owned(),
        [reason] => format!("{state}: {reason}"),
        [reason, rest @ ..] => format!("{state}: {reason}, and {} more", rest.len()),
    }
}

/// The line on the console for a node that does not become READY: the console may be the only way to learn about it.
pub fn not_ready_line(status: &Status) -> Option<String> {
    (!status.ready).then(|| format!("ballast: {}", summary(status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_console_shows_why_a_node_is_not_ready() {
        let status = |ready| Status { ready, reasons: vec!["a".to_owned()], ..Status::default() };
        assert_eq!(not_ready_line(&status(false)).as_deref(), Some("ballast: not ready: a"));
        assert_eq!(not_ready_line(&status(true)), None);
    }

    #[test]
    fn the_summary_names_the_first_reason() {
        let table: [(bool, &[&str], &str); 4] = [
            (true, &[], "ready"),
            (true, &["a"], "ready, degraded: a"),
            (false, &["a", "b", "c"], "not ready: a, and 2 more"),
            (false, &[], "not ready"),
        ];
        for (ready, reasons, expected) in table {
            let reasons = reasons.iter().map(|reason| (*reason).to_owned()).collect();
            assert_eq!(summary(&Status { ready, reasons, ..Status::default() }), expected);
        }
    }
}
