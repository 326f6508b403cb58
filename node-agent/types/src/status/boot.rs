//! Where a boot's time went.

use serde::{Deserialize, Serialize};

/// The figures of one boot. What was not measured is null, never guessed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// From the kernel's start to /init's.
    pub kernel_ms: Option<u64>,
    /// From /init's start to systemd's.
    pub initramfs_ms: Option<u64>,
    /// From systemd's start to READY.
    pub userspace_ms: Option<u64>,
    /// From the kernel's start to READY.
    pub ready_ms: Option<u64>,
    /// CPU time of all CPUs up to READY: uptime less idle and iowait.
    pub busy_ms: Option<u64>,
    /// What /init did.
    pub steps: Vec<InitStep>,
    /// Whose work the CPU time was, as far as somebody accounts for it: `kernel` up to /init, `/init`, `systemd`, and the
    /// services by name.
    #[serde(default)]
    pub cpu: Vec<Cpu>,
}

/// The CPU time of one of them up to READY.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpu {
    /// Whose.
    pub name: String,
    /// How much.
    pub cpu_us: u64,
}

/// One step of /init, in microseconds since the kernel started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitStep {
    /// What it did.
    pub name: String,
    /// When it began.
    pub start_us: u64,
    /// When it was done.
    pub end_us: u64,
}
