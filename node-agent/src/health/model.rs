//! What is known of the node's health, and of the trial that it is part of.

use std::time::{Duration, SystemTime};

/// The operator's executables.
pub const CHECKS: &str = "/var/lib/ballast/health.d";

/// The uptime in seconds at which the trial ends. It outlives the agent, so that one that crashes does not get its time again,
/// and trial-watch.service, which ends a trial without an agent, lets the agent decide until then.
pub(super) const UNTIL: &str = "/run/ballast/trial-until";

/// Is there once the agent keeps a bad release because no other could boot: trial-watch.service then leaves this boot alone.
pub(super) const KEEP_BOOTED: &str = "/run/ballast/keep-booted";

/// The node's health at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// The units that failed; None while systemd cannot be asked.
    pub failed_units: Option<Vec<String>>,
    /// The operator's checks, by name. They are run on trial only.
    pub checks: Vec<Check>,
    /// The trial of the release that runs; None if it is not on trial.
    pub trial: Option<Trial>,
}

/// A trial that goes on: systemd-boot counted this boot, and the entry still has its counter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The time since the kernel started. No clock that somebody sets shall shorten a trial.
    pub uptime: Duration,
    /// The uptime at which it ends; None if that was not decided yet.
    pub until: Option<Duration>,
    /// Whether the boot entries can be seen, and so be blessed.
    pub has_esp: bool,
    /// Whether systemd has started all that a boot starts; None while it cannot be asked.
    pub is_booted: Option<bool>,
    /// Units that ended and that systemd is about to start again.
    pub restarting_units: Vec<String>,
    /// Why there is no network, if there is none and there has to be one.
    pub network_problem: Option<String>,
    /// Why /var is not the node's own, if it is not: without state every release looks healthy.
    pub var_problem: Option<String>,
    /// Since when nothing was missing, at each probe.
    pub steady: Option<Steady>,
    /// How far the blessing is.
    pub blessing: Blessing,
}

/// What has to stay as it is for a while: a runtime that answers once and then hangs is healthy at many a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Steady {
    /// The uptime of the first probe.
    pub since: Duration,
    /// How often the container runtime had been restarted by then.
    pub restarts: u32,
}

/// What the loop knows of the container runtime.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Runtime<'a> {
    /// Why it is not ready.
    pub problem: Option<&'a str>,
    /// How often it was restarted in this boot.
    pub restarts: u32,
    /// Why a kubelet that proved itself under another release does not work under this one.
    pub kubelet: Option<&'a str>,
}

/// An executable of the operator's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its file's name.
    pub name: String,
    /// When the file was changed last: what passed is run again when it changed.
    pub modified: SystemTime,
    /// The result.
    pub state: CheckState,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckState {
    /// The file may not be executed.
    NotExecutable,
    /// It was not run yet.
    New,
    /// It runs.
    Running,
    /// It ended with status 0.
    Passed,
    /// It ended otherwise, or took too long.
    Failed {
        /// What it said last.
        reason: String,
        /// Whether it may be run again by now.
        is_due: bool,
    },
}

/// How far the blessing of the boot entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blessing {
    /// Nothing was done yet.
    New,
    /// systemd is at it.
    Running,
    /// It succeeded.
    Done,
    /// It did not.
    Failed {
        /// Why.
        reason: String,
        /// Whether it may be tried again by now.
        is_due: bool,
    },
}

/// What becomes of the release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// No release is on trial.
    NotOnTrial,
    /// The trial begins.
    Begins {
        /// The uptime at which it shall end.
        until: Duration,
    },
    /// Something is missing, and there is time left.
    Waiting {
        /// What is missing, in one sentence.
        for_what: String,
    },
    /// Nothing is missing; if it stays so, it is good.
    Settles {
        /// What it is compared with at the next probe.
        steady: Steady,
        /// How long it has to stay so yet.
        left: Duration,
    },
    /// It is to be blessed.
    Good,
    /// It is to be left by a reboot.
    Failed {
        /// Why, in one sentence.
        reason: String,
    },
}
