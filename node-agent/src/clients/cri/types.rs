//! What the callers of the CRI see: plain data without a wire format.

use std::{collections::BTreeMap, fmt, time::SystemTime};

/// What the runtime says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeStatus {
    /// Whether its RuntimeReady condition is true.
    pub ready: bool,
    /// Why it is not, in the runtime's words.
    pub message: String,
}

/// A sandbox to run.
#[derive(Clone, Default)]
pub struct SandboxSpec {
    /// The pod's name.
    pub name: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's uid.
    pub uid: String,
    /// How many sandboxes this pod had before.
    pub attempt: u32,
    /// The host name inside; empty to take the node's.
    pub hostname: String,
    /// Where the logs of its containers go.
    pub log_directory: String,
    /// Labels, to find it again.
    pub labels: BTreeMap<String, String>,
    /// Annotations, to know it again.
    pub annotations: BTreeMap<String, String>,
    /// The control group that its containers lie in.
    pub cgroup_parent: String,
    /// What its resolv.conf says; None, or without a name server, for a copy of the node's.
    pub dns: Option<Dns>,
    /// What it shares with the node.
    pub namespaces: Namespaces,
    /// Whether one of its containers is privileged.
    pub privileged: bool,
    /// Ports of the host that lead into it.
    pub ports: Vec<PortMapping>,
    /// What the kernel has once for each sandbox.
    pub sysctls: BTreeMap<String, String>,
    /// Groups that its processes are in besides.
    pub supplemental_groups: Vec<i64>,
}

/// The annotations may have secrets in them.
impl fmt::Debug for SandboxSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, namespace, uid, attempt, .. } = self;
        let mut shown = formatter.debug_struct("SandboxSpec");
        shown.field("name", name).field("namespace", namespace).field("uid", uid).field("attempt", attempt);
        shown.finish_non_exhaustive()
    }
}

/// A port of the host that leads into a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortMapping {
    /// How it is spoken to.
    pub protocol: Protocol,
    /// The port inside.
    pub container_port: u16,
    /// The host's.
    pub host_port: u16,
    /// The host's address; empty for all of them.
    pub host_ip: String,
}

/// How a port is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
    /// SCTP
    Sctp,
}

/// Which system calls may be made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Seccomp {
    /// The runtime's usual ones.
    #[default]
    RuntimeDefault,
    /// All.
    Unconfined,
    /// Those of this file.
    File(String),
}

/// What containers share with the node and with each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// Whether the network is the node's.
    pub host_network: bool,
    /// Whether System V and POSIX queues and memory are the node's.
    pub host_ipc: bool,
    /// Whose processes are seen.
    pub pid: PidNamespace,
}

/// Whose processes a container sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PidNamespace {
    /// Its own.
    #[default]
    Container,
    /// Those of its pod.
    Pod,
    /// Those of the node.
    Host,
}

/// On which side of a bind mount later mounts are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountPropagation {
    /// What the host mounts, inside.
    HostToContainer,
    /// Also what is mounted inside, on the host.
    Bidirectional,
}

/// The lines of a resolv.conf(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// Addresses of name servers.
    pub servers: Vec<String>,
    /// Domains that a short name is looked for in.
    pub searches: Vec<String>,
    /// Options.
    pub options: Vec<String>,
}

/// A sandbox that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// The runtime's id.
    pub id: String,
    /// The pod's name.
    pub name: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's uid.
    pub uid: String,
    /// How many sandboxes this pod had before.
    pub attempt: u32,
    /// Whether it runs.
    pub ready: bool,
    /// When it was made.
    pub created_at: SystemTime,
    /// As given when it was made.
    pub annotations: BTreeMap<String, String>,
}

/// A container to make.
#[derive(Clone, Default)]
pub struct ContainerSpec {
    /// Its name within the pod.
    pub name: String,
    /// How often it was made before.
    pub attempt: u32,
    /// The image's reference.
    pub image: String,
    /// Replaces the image's entry point, unless empty.
    pub command: Vec<String>,
    /// Replaces the image's arguments, unless empty.
    pub args: Vec<String>,
    /// Replaces the image's working directory, unless empty.
    pub working_dir: String,
    /// Environment, in order.
    pub env: Vec<(String, String)>,
    /// What of the host is to be seen inside.
    pub mounts: Vec<MountSpec>,
    /// Labels, to find it again.
    pub labels: BTreeMap<String, String>,
    /// Annotations, to know it again.
    pub annotations: BTreeMap<String, String>,
    /// The log's file, below the sandbox's log directory.
    pub log_path: String,
    /// Whether it may do anything that root on the node may.
    pub privileged: bool,
    /// The user id that it runs as; None: the image's.
    pub run_as_user: Option<i64>,
    /// The same by name; empty: the image's.
    pub run_as_username: String,
    /// The group id that it runs as; None: the image's.
    pub run_as_group: Option<i64>,
    /// Groups that its processes are in besides.
    pub supplemental_groups: Vec<i64>,
    /// Whether its root file system is read-only.
    pub read_only_root: bool,
    /// Whether no program may give it more privileges than it has.
    pub no_new_privileges: bool,
    /// Capabilities beside the runtime's usual ones, without the prefix `CAP_`.
    pub add_capabilities: Vec<String>,
    /// Capabilities that it does not get.
    pub drop_capabilities: Vec<String>,
    /// Which system calls it may make.
    pub seccomp: Seccomp,
    /// Whether it sees all of /proc.
    pub is_proc_unmasked: bool,
    /// Whether its standard input stays open.
    pub stdin: bool,
    /// Whether that is closed after the first who used it.
    pub stdin_once: bool,
    /// Whether it has a terminal.
    pub tty: bool,
    /// What it shares.
    pub namespaces: Namespaces,
    /// Limits.
    pub resources: Resources,
}

/// Its environment and arguments may have secrets in them.
impl fmt::Debug for ContainerSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, attempt, image, .. } = self;
        let mut shown = formatter.debug_struct("ContainerSpec");
        shown.field("name", name).field("attempt", attempt).field("image", image).finish_non_exhaustive()
    }
}

/// One bind mount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MountSpec {
    /// Absolute path inside.
    pub container_path: String,
    /// Absolute path on the host.
    pub host_path: String,
    /// Whether it is read-only inside.
    pub read_only: bool,
    /// Where later mounts are seen; None: on neither side.
    pub propagation: Option<MountPropagation>,
}

/// Limits of a container in the kernel's terms; 0 is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resources {
    /// CPU time per 100 ms, in microseconds.
    pub cpu_quota_us: i64,
    /// Share of the CPU against others.
    pub cpu_shares: i64,
    /// Memory.
    pub memory_bytes: i64,
    /// How early the kernel kills it when memory is short.
    pub oom_score_adj: i64,
    /// How many processes and threads it may have.
    pub pids: u32,
    /// Whether the kernel, when memory is short, kills all of its processes at once.
    pub ends_together: bool,
}

/// The state of a container in the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerState {
    /// Made, not started.
    Created,
    /// Runs.
    Running,
    /// Ended.
    Exited,
    /// The runtime lost sight of it.
    Unknown,
}

/// A container that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerStatus {
    /// The runtime's id.
    pub id: String,
    /// The sandbox that it is in.
    pub sandbox_id: String,
    /// Its name within the pod.
    pub name: String,
    /// How often it was made before.
    pub attempt: u32,
    /// What it does.
    pub state: ContainerState,
    /// When it started, if it did.
    pub started_at: Option<SystemTime>,
    /// When it ended, if it did.
    pub finished_at: Option<SystemTime>,
    /// Its exit status, if it ended.
    pub exit_code: i32,
    /// Why it ended, in one word (`OOMKilled`, `Error`, …).
    pub reason: String,
    /// Why it ended or did not start, in the runtime's words.
    pub message: String,
    /// The id of its image.
    pub image: String,
    /// As given when it was made.
    pub annotations: BTreeMap<String, String>,
}

/// An image in the runtime's store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The digest of its configuration.
    pub id: String,
    /// The references that name it, by tag and by digest.
    pub references: Vec<String>,
    /// What it takes, as far as the runtime knows.
    pub size_bytes: u64,
    /// Whether the runtime itself needs it.
    pub is_pinned: bool,
    /// Who its programs run as: a number, or a name.
    pub user: ImageUser,
}

/// Who asks a registry.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password, which is never shown.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// Who an image's programs run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageUser {
    /// This number; 0 also if the image names none.
    Id(i64),
    /// This name, which only the image's own list of users explains.
    Name(String),
}

/// What a container wrote into its root file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The uid of its pod.
    pub pod_uid: String,
    /// Its name within the pod.
    pub container: String,
    /// Bytes.
    pub bytes: u64,
}

/// How a command in a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Executed {
    /// By itself.
    Ended {
        /// With which status.
        exit_code: i32,
        /// What it wrote, to its standard output, or else as an error.
        output: String,
    },
    /// It took longer than it may.
    TooLate,
}
