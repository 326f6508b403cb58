//! What the machine reports about itself. The agent publishes it through a watch; a change wakes the memberships.

use core::net::IpAddr;
use std::time::SystemTime;

use super::Release;

/// Everything that a cluster may learn of the machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Its name, as the kernel has it.
    pub hostname: String,
    /// Whether the settings say that name; else it may be a DHCP server's, which comes late, or the one that any machine has.
    pub hostname_is_set: bool,
    /// `/etc/machine-id`
    pub machine_id: String,
    /// `/proc/sys/kernel/random/boot_id`: another one is another boot.
    pub boot_id: String,
    /// The firmware's UUID of the machine.
    pub system_uuid: String,
    /// `uname -r`
    pub kernel_version: String,
    /// `ID` of os-release.
    pub os_id: String,
    /// `PRETTY_NAME` of os-release.
    pub os_name: String,
    /// `VERSION_ID` of os-release.
    pub os_version: String,
    /// As `containerd://2.1.4`.
    pub runtime_version: String,
    /// As Go calls it: `amd64`.
    pub architecture: String,
    /// Of interfaces that are up, without loopback and link-local ones; the one of the default route first.
    pub addresses: Vec<IpAddr>,
    /// Whether the clock was set in this boot: before, no certificate can be checked.
    pub clock_is_set: bool,
    /// What there is of what pods use.
    pub capacity: Capacity,
    /// What is left of it.
    pub pressure: Readings,
    /// Whether runtime and agent can run pods; if not, why, in a sentence.
    pub ready: Result<(), String>,
    /// Whether a kubelet runs here. Without one nobody starts the pods that the scheduler binds to this node.
    pub kubelet: bool,
    /// The reasons of `ballast status`.
    pub degraded: Vec<String>,
    /// What in the settings does not apply, one sentence each.
    pub settings_problems: Vec<String>,
    /// How often the runtime was started again in this boot.
    pub runtime_restarts: u32,
    /// The releases on it, and what is done with them.
    pub os: Os,
    /// The kubelet that the agent hosts; None: it hosts none.
    pub hosted: Option<Hosted>,
    /// How it came up.
    pub boot: Boot,
    /// Where operators reach its API, if it has one.
    pub api: Option<ApiFacts>,
    /// Whether somebody on the machine wants its cluster's pods to go, since it is to go down.
    pub leaves: bool,
}

impl Default for Facts {
    /// A machine of which nothing is known, so it is not ready.
    fn default() -> Self {
        Self {
            hostname: String::new(),
            hostname_is_set: false,
            machine_id: String::new(),
            boot_id: String::new(),
            system_uuid: String::new(),
            kernel_version: String::new(),
            os_id: String::new(),
            os_name: String::new(),
            os_version: String::new(),
            runtime_version: String::new(),
            architecture: String::new(),
            addresses: Vec::new(),
            clock_is_set: false,
            capacity: Capacity::default(),
            pressure: Readings::default(),
            ready: Err("the agent has not looked at the runtime yet".to_owned()),
            kubelet: false,
            degraded: Vec::new(),
            settings_problems: Vec::new(),
            runtime_restarts: 0,
            os: Os::default(),
            hosted: None,
            boot: Boot::default(),
            api: None,
            leaves: false,
        }
    }
}

/// Where operators reach the machine's API, and by what they know it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ApiFacts {
    /// `ADDRESS:PORT`
    pub address: String,
    /// `sha256:` and the SHA-256 of its certificate.
    pub fingerprint: String,
}

/// What there is of what pods use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capacity {
    /// Processors.
    pub cpus: u32,
    /// Memory.
    pub memory_bytes: u64,
    /// The file system of /var.
    pub storage_bytes: u64,
    /// The most processes that the kernel runs (`kernel.pid_max`).
    pub pids_max: u64,
    /// The most pods that shall run here.
    pub pods: u32,
}

/// What is left of it. These change always and wake nobody's report by themselves: only what `plan::conditions` makes of them does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Readings {
    /// `MemAvailable`
    pub memory_available_bytes: u64,
    /// Free bytes of /var.
    pub storage_available_bytes: u64,
    /// Inodes of /var.
    pub storage_inodes_total: u64,
    /// Free inodes of /var.
    pub storage_inodes_available: u64,
    /// Processes and threads that there are.
    pub pids_used: u64,
}

/// The releases on the machine, and what is done with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Os {
    /// The one that runs.
    pub booted: Release,
    /// The one that boots next, if it is another.
    pub next: Option<Release>,
    /// The one that boots if the next fails.
    pub last_good: Option<Release>,
    /// Those that failed here and are not tried again until they are allowed.
    pub failed: Vec<FailedRelease>,
    /// Whether the one that runs has yet to prove itself.
    pub on_trial: bool,
    /// The running operation, whoever requested it.
    pub operation: Option<Operation>,
    /// The last [`Order::Prepare`](super::Order::Prepare) that was carried out, also if there was nothing to do.
    pub prepared: Option<Prepared>,
    /// The last order that failed.
    pub failure: Option<Failed>,
}

/// The kubelet that the agent hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosted {
    /// The version that runs, or is to.
    pub runs: Option<Release>,
    /// How it is, in a word: `healthy`.
    pub state: String,
    /// Whether it has yet to prove itself.
    pub on_trial: bool,
    /// The version that is here and waits for an [`Order::Kubelet`](super::Order::Kubelet): it is another minor version than the one that runs.
    pub waits: Option<Release>,
    /// The version that is asked for, if it failed here.
    pub stuck: Option<FailedRelease>,
    /// All that failed here.
    pub failed: Vec<FailedRelease>,
}

/// A release that failed here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FailedRelease {
    /// Which.
    pub digest: String,
    /// Its version.
    pub version: String,
    /// What was wrong, in a sentence.
    pub reason: String,
    /// When that was found, in seconds since 1970.
    pub at: u64,
}

/// An operation with releases that is going on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Operation {
    /// As its command: `upgrade`.
    pub name: String,
    /// What it is at: `fetch`.
    pub phase: String,
    /// The image that it is about, once it is known.
    pub image: Option<String>,
    /// Bytes that were fetched.
    pub fetched_bytes: u64,
    /// Bytes that there are to fetch.
    pub total_bytes: u64,
}

/// An order to prepare that was carried out: the release boots next, or runs already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prepared {
    /// Its number.
    pub order: u64,
    /// The image, as the order had it.
    pub image: String,
    /// What the image was resolved to.
    pub digest: String,
}

/// An order that failed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Failed {
    /// Its number.
    pub order: u64,
    /// The image, as the order had it.
    pub image: String,
    /// Whether the release is not one for this node, so that trying again is no use.
    pub refused: bool,
    /// What was wrong and what to do, in a sentence.
    pub message: String,
    /// What the image was resolved to, if it came that far.
    pub digest: Option<String>,
}

/// How the machine came up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Boot {
    /// Milliseconds from the kernel's start to READY.
    pub ready_ms: Option<u64>,
    /// When the kernel started; right only once the clock is set.
    pub started_at: Option<SystemTime>,
}
