//! What a pod is to this node: the valid form of a manifest, and what the runtime says of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::{Duration, SystemTime},
};

use ballast_types::ImageReference;
use serde::Serialize;

use self::container::is_false;
pub use self::container::{Capabilities, Container, LATE, Mount, Propagation, PullPolicy, Resources, Seccomp, late};
use super::disk;

mod container;

/// The folders with manifests: the image's own pods first, then the operator's, then those that stand in the settings.
pub const MANIFEST_FOLDERS: [&str; 3] = ["/usr/lib/ballast/pods", "/var/lib/ballast/pods", "/etc/ballast/pods"];

/// The image of the process that holds a sandbox: the runtime's configuration names it, the OS brings it along.
pub const SANDBOX_IMAGE: &str = "localhost/ballast/pause:1";

/// The namespace of a manifest that names none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// Which pod: unique on the node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Key {
    /// metadata.namespace
    pub namespace: String,
    /// metadata.name
    pub name: String,
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.namespace.as_str() {
            DEFAULT_NAMESPACE => write!(formatter, "{}", self.name),
            namespace => write!(formatter, "{namespace}/{}", self.name),
        }
    }
}

/// A pod that shall run here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// The file that describes it.
    pub source: String,
    /// What the file said.
    pub text: String,
    /// Derived from what the file means: another meaning is another pod, as another comment is not.
    pub uid: String,
    /// What it means.
    pub spec: Spec,
    /// What of it has no effect here, one sentence each.
    pub notes: Vec<String>,
}

/// What a manifest means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Spec {
    /// Which pod.
    pub key: Key,
    /// metadata.labels
    pub labels: BTreeMap<String, String>,
    /// metadata.annotations
    pub annotations: BTreeMap<String, String>,
    /// Whether it shares the node's network.
    pub host_network: bool,
    /// Whether it sees the node's processes.
    #[serde(skip_serializing_if = "is_false")]
    pub host_pid: bool,
    /// Whether it shares the node's System V and POSIX queues and memory.
    #[serde(skip_serializing_if = "is_false")]
    pub host_ipc: bool,
    /// Whether its containers see each other's processes.
    #[serde(skip_serializing_if = "is_false")]
    pub share_pid: bool,
    /// Its host name, if it is another than its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Groups that its processes are in besides their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub supplemental_groups: Vec<i64>,
    /// What happens when a container ends.
    pub restart_policy: RestartPolicy,
    /// How long a container may take to end when asked to.
    pub grace: Duration,
    /// Its volumes, by name.
    pub volumes: BTreeMap<String, Volume>,
    /// Its containers, at least one.
    pub containers: Vec<Container>,
}

/// spec.restartPolicy
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum RestartPolicy {
    /// Whenever a container ends.
    Always,
    /// When a container ends with another status than 0.
    OnFailure,
    /// Never.
    Never,
}

/// A volume of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Volume {
    /// A path of the node.
    HostPath {
        /// Absolute.
        path: String,
        /// What it must be.
        kind: HostPathKind,
    },
    /// A folder that lives as long as the pod.
    EmptyDir {
        /// In memory rather than on the disk; with its size, if limited.
        memory: Option<MemoryDir>,
        /// On the disk: how many bytes may be in it before the pod is ended.
        #[serde(skip_serializing_if = "Option::is_none")]
        limit_bytes: Option<u64>,
    },
}

/// An emptyDir in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemoryDir {
    /// emptyDir.sizeLimit
    pub size_bytes: Option<u64>,
}

/// spec.volumes\[\].hostPath.type
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum HostPathKind {
    /// Not looked at.
    Any,
    /// Made if it is missing.
    DirectoryOrCreate,
    /// Must be there.
    Directory,
    /// Made if it is missing.
    FileOrCreate,
    /// Must be there.
    File,
    /// Must be there.
    Socket,
    /// Must be there.
    CharDevice,
    /// Must be there.
    BlockDevice,
}
/// What the runtime has of one sandbox of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// The runtime's id.
    pub id: String,
    /// Whose.
    pub key: Key,
    /// Which version of it.
    pub uid: String,
    /// How many sandboxes this version had before.
    pub attempt: u32,
    /// Whether it runs.
    pub ready: bool,
    /// The file that described it.
    pub source: String,
    /// What that file said.
    pub text: String,
    /// How long its containers may take to end.
    pub grace: Duration,
    /// What is in it.
    pub containers: Vec<Instance>,
}

/// One run of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The runtime's id.
    pub id: String,
    /// Which container of the pod.
    pub name: String,
    /// How many runs there were before.
    pub attempt: u32,
    /// How many of them in a row ended soon.
    pub crashes: u32,
    /// What it does.
    pub state: State,
}

/// What a container does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Made, and not started: we were interrupted, or its start failed.
    Created,
    /// Runs.
    Running,
    /// Ended.
    Exited {
        /// When it had started, if it ever did.
        started_at: Option<SystemTime>,
        /// When.
        finished_at: SystemTime,
        /// With which status.
        exit_code: i32,
        /// Why, in one word, if the runtime knows.
        reason: String,
        /// Why, in a sentence of the runtime's; empty if it has none.
        message: String,
    },
}

/// Everything about the pods at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// The sandboxes that are ours.
    pub sandboxes: Vec<Sandbox>,
    /// The images that the runtime has, with the digest of their configuration.
    pub images: BTreeMap<ImageReference, String>,
    /// The images that the OS brings along, by their name and by their digest.
    pub archives: BTreeMap<ImageReference, Archive>,
    /// Pods that a job is at work on, with the version that it is for.
    pub busy: BTreeMap<Key, String>,
    /// Versions of pods that have volumes or logs on the disk.
    pub files: BTreeSet<String>,
    /// What pods with a network of their own ask for names; None as long as it is worth waiting for.
    pub resolver: Option<Resolver>,
    /// What the last job for a pod failed with, unless one succeeded since.
    pub failures: BTreeMap<Key, Failure>,
    /// The room on /var, and what takes it.
    pub disk: disk::model::Observed,
}

/// Whom to ask for names, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolver {
    /// Addresses of name servers; none if the node knows none.
    pub servers: Vec<String>,
    /// Domains that a short name is looked for in.
    pub searches: Vec<String>,
    /// Options of resolv.conf(5).
    pub options: Vec<String>,
}

/// An image that the OS brings along in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// The file.
    pub path: String,
    /// What the runtime calls it once it is imported.
    pub reference: ImageReference,
    /// The digest of the image's configuration.
    pub config: String,
}

/// A job that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which version of the pod it was for.
    pub uid: String,
    /// Whether it was to bring the pod up.
    pub of_start: bool,
    /// When.
    pub at: SystemTime,
    /// How many in a row.
    pub count: u32,
    /// Why.
    pub message: String,
}
