//! The smaller tables: `[time]`, `[kernel]`, `[runtime]`, `[pods]`, `[log]`.

use std::collections::BTreeMap;

use crate::values::{Host, KernelArgument, ManifestName, Size, SysctlKey, SysctlValue, TimeZone};

/// `[time]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Time {
    /// `servers`: NTP servers. Empty is what DHCP says, or timesyncd's own.
    pub servers: Vec<Host>,
    /// `zone`: by which the node's own logs and timers go. None is UTC; pods have their own.
    pub zone: Option<TimeZone>,
}

/// `[kernel]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kernel {
    /// `arguments`: from the next boot on.
    pub arguments: Vec<KernelArgument>,
    /// `[kernel.sysctl]`: at once.
    pub sysctl: BTreeMap<SysctlKey, SysctlValue>,
}

/// `[runtime]`: what the container runtime does for every pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// `log_max_size`: from how many bytes on a container's log is begun anew, 64KiB to 10GiB. Default 10MiB.
    pub log_max_size: Size,
    /// `log_max_files`: how many of them are kept, 2 to 100. Default 5, as the kubelet's.
    pub log_max_files: u32,
    /// `default`: what runs a container for which nothing else is said. Default runc.
    pub default: OciRuntime,
    /// `pids_limit`: how many processes and threads a container may have, 16 to 4194304. None is no limit.
    pub pids_limit: Option<u32>,
}

impl Default for Runtime {
    fn default() -> Self {
        Self { log_max_size: Size::from_mib(10), log_max_files: 5, default: OciRuntime::Runc, pids_limit: None }
    }
}

/// An OCI runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OciRuntime {
    /// `"runc"`
    Runc,
    /// `"crun"`
    Crun,
}

impl OciRuntime {
    /// Its name, which is also its program's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Runc => "runc",
            Self::Crun => "crun",
        }
    }
}

/// `[pods]`: what runs here beside the manifests that lie in folders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pods {
    /// `metadata_service`: whether pods with a network of their own reach the cloud's metadata service. Default false.
    pub metadata_service: bool,
    /// `[[pods.manifest]]`, each name once.
    pub manifests: Vec<Manifest>,
}

/// `[[pods.manifest]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// `name`: what it is called in problems and on the disk.
    pub name: ManifestName,
    /// `content`: a v1 Pod in YAML or JSON, which the agent reads as it reads a file.
    pub content: String,
}

/// `[log]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    /// `level`: from which on the agent logs. Default info.
    pub level: LogLevel,
    /// `journal_max_size`: how many bytes the journal takes of /var, 8MiB to 64GiB. None is the image's, 256MiB.
    pub journal_max_size: Option<Size>,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// `"error"`: what failed.
    Error,
    /// `"warn"`: also what is odd.
    Warn,
    /// `"info"`: also what is done.
    #[default]
    Info,
    /// `"debug"`: also why.
    Debug,
    /// `"trace"`: everything.
    Trace,
}

impl LogLevel {
    /// All of them, the least first.
    pub const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}
