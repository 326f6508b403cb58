//! What is known of the container runtime.

use std::time::Duration;

/// The unit that runs it.
pub const UNIT: &str = "containerd.service";

/// How often the runtime is asked for its health when nothing else happens.
pub const PROBE_EVERY: Duration = Duration::from_secs(10);

/// How soon it is asked again once it did not answer.
pub const PROBE_AGAIN: Duration = Duration::from_secs(1);

/// One unanswered probe may be a busy disk; two in a row are a runtime that hangs.
pub const MISSES_TO_KILL: u32 = 2;

/// Two misses that lie closer together than one probe takes are one.
pub const MISS_SPACING: Duration = Duration::from_secs(5);

/// Everything about the runtime at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// What answers on its socket.
    pub health: Health,
    /// What systemd says of its unit; None while systemd was not asked.
    pub service: Option<Service>,
    /// Its name and version, once it reported them.
    pub version: Option<(String, String)>,
    /// Probes in a row without an answer from a running service.
    pub misses: u32,
    /// The main process that was killed for not answering: it is not killed twice.
    pub killed_pid: Option<u32>,
    /// How often it was restarted in this boot, by systemd and by us.
    pub restarts: u32,
}

/// What answers on the runtime's socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// It answers, and its RuntimeReady condition is true.
    Ready,
    /// It answers, but says that it is not ready.
    NotReady {
        /// Why, in its words.
        message: String,
    },
    /// Nobody listens, or the connection broke.
    Down {
        /// What the attempt to connect said.
        message: String,
    },
    /// It takes calls and does not answer.
    Silent,
}

/// The runtime's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// What it does.
    pub state: ServiceState,
    /// Its main process, 0 if there is none.
    pub main_pid: u32,
    /// systemd's own restarts since the last start by hand.
    pub restarts: u32,
}

/// The states of a unit that call for different actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceState {
    /// It runs.
    Active,
    /// systemd is starting, stopping or about to restart it.
    Changing,
    /// It does not run, and systemd will not start it by itself.
    Stopped,
}

/// What to do about the runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Start the unit.
    Start,
    /// Kill the main process, which hangs; systemd then restarts the unit.
    Kill {
        /// The process.
        pid: u32,
    },
}

impl Observed {
    /// Whether pods can be run now.
    pub fn is_ready(&self) -> bool {
        self.health == Health::Ready
    }
}
