//! What runs on the node.

use serde::{Deserialize, Serialize};

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
    /// Why: its termination message, or the runtime's sentence; empty if there is none.
    pub message: String,
    /// When, in seconds since 1970.
    #[serde(default)]
    pub at: u64,
}
