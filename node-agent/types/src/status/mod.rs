//! The status of the node: the form in which it is published, and read by the command line and by programs. Its keys are an interface: the
//! agent, its clients and the manual's reference have these types in common.

mod boot;
mod clusters;
mod pods;
mod settings;

use serde::{Deserialize, Serialize};

use crate::GoingDown;

pub use self::{
    boot::{Boot, Cpu, InitStep},
    clusters::{Cluster, FailedKubelet, Kubelet, Traffic},
    pods::{Container, Ended, Pod},
    settings::{SourceShown, Sources, TrialShown, Warning},
};

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
