//! What a pod is to this node: the valid form of a manifest, and what the runtime says of it.

use std::{collections::BTreeMap, fmt, time::Duration};

use serde::Serialize;

use self::container::is_false;
pub use self::{
    container::{
        Capabilities, Container, Mount, Propagation, PullPolicy, Resources, SECCOMP_PROFILES, Seccomp, Termination,
    },
    credential::Credential,
    late::{Facts, LATE, has_late, late},
    network::{Dns, HostAlias, Naming, Port, Protocol},
    observed::{Archive, Failure, Instance, Observed, Resolver, Sandbox, State},
    qos::Qos,
    volume::{Content, File, FileContent, HostPathKind, MemoryDir, Volume},
};

mod container;
mod credential;
mod late;
mod network;
mod observed;
mod qos;
mod volume;

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

/// A pod that shall run here. What it was made of may have secrets in it.
#[derive(Clone, PartialEq, Eq)]
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

impl fmt::Debug for Pod {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, uid, spec, notes, text: _ } = self;
        formatter
            .debug_struct("Pod")
            .field("source", source)
            .field("uid", uid)
            .field("spec", spec)
            .field("notes", notes)
            .finish_non_exhaustive()
    }
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
    /// The part of its full name between its host name and its namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subdomain: Option<String>,
    /// Whether its host name is the full one.
    #[serde(skip_serializing_if = "is_false")]
    pub has_full_name: bool,
    /// More lines of its /etc/hosts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub host_aliases: Vec<HostAlias>,
    /// Whom it asks for names.
    #[serde(skip_serializing_if = "Dns::is_empty")]
    pub dns: Dns,
    /// Groups that its processes are in besides their own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub supplemental_groups: Vec<i64>,
    /// The group that its volumes belong to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fs_group: Option<i64>,
    /// What the kernel has once for each pod.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sysctls: BTreeMap<String, String>,
    /// The higher it is, the later it ends when the node goes down. No part of what the manifest means: the pod is the same with another.
    #[serde(skip)]
    pub priority: i32,
    /// What happens when a container ends.
    pub restart_policy: RestartPolicy,
    /// How long a container may take to end when asked to.
    pub grace: Duration,
    /// Its volumes, by name.
    pub volumes: BTreeMap<String, Volume>,
    /// Who pulls its images. Another password makes no other pod.
    #[serde(skip)]
    pub credentials: Vec<Credential>,
    /// Its containers, at least one.
    pub containers: Vec<Container>,
    /// Those that run before, one after the other; sidecars among them run on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub init_containers: Vec<Container>,
    /// How long after its first start it is ended for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_deadline: Option<Duration>,
    /// Of a Job: how often it may fail before it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_limit: Option<u32>,
}

impl Spec {
    /// All of its containers, in the order of their start.
    pub fn all_containers(&self) -> impl Iterator<Item = &Container> {
        self.init_containers.iter().chain(&self.containers)
    }

    /// The container of this name.
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.all_containers().find(|container| container.name == name)
    }

    /// Whether the same port of the host would lead to both.
    pub fn is_in_the_way_of(&self, other: &Self) -> bool {
        self.clashes(other, |container| &container.host_ports)
    }

    /// Whether both name the same port of the host. On the node's network a pod may, or may not, listen there itself.
    pub fn names_a_port_of(&self, other: &Self) -> bool {
        self.clashes(other, |container| &container.ports)
    }

    fn clashes(&self, other: &Self, ports: fn(&Container) -> &Vec<Port>) -> bool {
        let mut own = self.all_containers().flat_map(ports);
        own.any(|port| other.all_containers().flat_map(ports).any(|other| port.is_in_the_way_of(other)))
    }
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
