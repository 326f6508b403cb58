//! The clusters that the node belongs to, and the kubelet that it hosts.

use serde::{Deserialize, Serialize};

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
