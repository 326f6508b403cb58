//! A container of a pod, as its manifest means it.

use std::fmt;

use ballast_types::ImageReference;
use serde::Serialize;

use super::network::Port;
use crate::pods::probes::model::{Lifecycle, Probes};

/// A container of a pod. What is in its variables may be secret.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Container {
    /// Its name within the pod.
    pub name: String,
    /// The image as the first releases completed it: the pod's uid, and so its emptyDirs, depend on this text.
    #[serde(rename = "image")]
    pub written: String,
    /// The image.
    #[serde(skip)]
    pub image: ImageReference,
    /// When to ask the registry.
    pub pull: PullPolicy,
    /// Replaces the image's entry point, unless empty. `$(NAME)` is already expanded.
    pub command: Vec<String>,
    /// Replaces the image's arguments, unless empty. `$(NAME)` is already expanded.
    pub args: Vec<String>,
    /// Environment, in order.
    pub env: Vec<(String, String)>,
    /// Replaces the image's working directory, unless empty.
    pub working_dir: String,
    /// Where it sees the pod's volumes.
    pub mounts: Vec<Mount>,
    /// Whether it may do anything that root on the node may.
    pub privileged: bool,
    /// The user id that it runs as; None: the image's.
    pub run_as_user: Option<i64>,
    /// The group id that it runs as; None: the image's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_as_group: Option<i64>,
    /// Whether its image is looked at, as to whether its user is root.
    #[serde(skip_serializing_if = "is_false")]
    pub is_non_root: bool,
    /// Whether its root file system is read-only.
    pub read_only_root: bool,
    /// Whether no program may give it more privileges than it has.
    #[serde(skip_serializing_if = "is_false")]
    pub no_new_privileges: bool,
    /// What it may besides, or may not, of what root may.
    #[serde(skip_serializing_if = "Capabilities::is_empty")]
    pub capabilities: Capabilities,
    /// Which system calls it may make; None: the runtime's usual ones, unless privileged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seccomp: Option<Seccomp>,
    /// Whether it sees all of /proc.
    #[serde(skip_serializing_if = "is_false")]
    pub is_proc_unmasked: bool,
    /// Whether its standard input stays open.
    #[serde(skip_serializing_if = "is_false")]
    pub stdin: bool,
    /// Whether that is closed after the first who used it.
    #[serde(skip_serializing_if = "is_false")]
    pub stdin_once: bool,
    /// Whether it has a terminal.
    #[serde(skip_serializing_if = "is_false")]
    pub tty: bool,
    /// Where it listens, for those who have only a name of a port.
    #[serde(skip)]
    pub ports: Vec<Port>,
    /// Those that a port of the host leads to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub host_ports: Vec<Port>,
    /// Limits.
    pub resources: Resources,
    /// Whether it is an init container that runs on beside those after it.
    #[serde(skip_serializing_if = "is_false")]
    pub is_sidecar: bool,
    /// How its state is asked for.
    #[serde(skip_serializing_if = "Probes::is_empty")]
    pub probes: Probes,
    /// What is done at the ends of its life.
    #[serde(skip_serializing_if = "Lifecycle::is_empty")]
    pub lifecycle: Lifecycle,
    /// Where it leaves its termination message. It makes no other pod: earlier releases did not look at it, and emptyDirs go with the uid.
    #[serde(skip)]
    pub termination: Termination,
}

/// spec.containers\[\].terminationMessagePath and terminationMessagePolicy
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Termination {
    /// The file, absolute, inside.
    pub path: String,
    /// Whether the end of its log stands in for an empty file, if it failed.
    pub falls_back_to_logs: bool,
}

impl Default for Termination {
    fn default() -> Self {
        Self { path: "/dev/termination-log".to_owned(), falls_back_to_logs: false }
    }
}

impl fmt::Debug for Container {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Container")
            .field("name", &self.name)
            .field("image", &self.image)
            .finish_non_exhaustive()
    }
}

/// spec.containers\[\].securityContext.capabilities
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// Beside the runtime's usual ones, without the prefix `CAP_`; or `ALL`.
    pub add: Vec<String>,
    /// Of the runtime's usual ones, likewise.
    pub drop: Vec<String>,
}

impl Capabilities {
    fn is_empty(&self) -> bool {
        self.add.is_empty() && self.drop.is_empty()
    }
}

/// spec.containers\[\].imagePullPolicy
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum PullPolicy {
    /// On every start.
    Always,
    /// If it is not on the node.
    IfNotPresent,
    /// Never.
    Never,
}

/// spec.containers\[\].volumeMounts\[\]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// A volume of the pod.
    pub volume: String,
    /// Absolute path inside.
    pub path: String,
    /// Whether it is read-only inside.
    pub read_only: bool,
    /// Whether what is mounted later is seen on the other side; None: on neither.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propagation: Option<Propagation>,
    /// The part of the volume that it sees; None: all of it. See [`late`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub_path: Option<String>,
}

/// spec.containers\[\].volumeMounts\[\].mountPropagation
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Propagation {
    /// What the host mounts is seen inside.
    HostToContainer,
    /// And what is mounted inside is seen on the host.
    Bidirectional,
}

/// securityContext.seccompProfile.type
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Seccomp {
    /// The runtime's.
    RuntimeDefault,
    /// All system calls.
    Unconfined,
    /// Those of a file below [`SECCOMP_PROFILES`].
    Localhost(String),
}

/// Where the operator's seccomp profiles lie.
pub const SECCOMP_PROFILES: &str = "/var/lib/ballast/seccomp";

pub(in crate::pods) fn is_false(flag: &bool) -> bool {
    !flag
}

/// spec.containers\[\].resources; None is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Resources {
    /// Thousandths of a CPU that it may use.
    pub cpu_limit_milli: Option<u64>,
    /// Thousandths of a CPU that it gets when the CPU is short.
    pub cpu_request_milli: Option<u64>,
    /// Bytes that it may use.
    pub memory_limit_bytes: Option<u64>,
    /// Bytes that it needs.
    pub memory_request_bytes: Option<u64>,
    /// Bytes of the disk that it may use before its pod is ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_limit_bytes: Option<u64>,
    /// Bytes of the disk that it needs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_request_bytes: Option<u64>,
}
