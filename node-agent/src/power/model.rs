//! What is asked for, what is kept of it, and how far it is.

use std::time::Duration;

use ballast_types::FailureKind;
use serde::{Deserialize, Serialize};

/// How long a drain may take if nobody says.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(300);

/// Later than this is a mistake.
pub const LATEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Go down, and come back.
    Reboot,
    /// Go down, and stay down.
    Off,
    /// Take back what is scheduled.
    Cancel,
}

impl Action {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reboot => "reboot",
            Self::Off => "off",
            Self::Cancel => "cancel",
        }
    }

    /// What the node does then, for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Reboot => "the node reboots",
            Self::Off => "the node switches itself off",
            Self::Cancel => "the node stays up",
        }
    }
}

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// What to do.
    pub action: Action,
    /// Also while an operation is running.
    #[serde(default)]
    pub force: bool,
    /// Whether the pods of its clusters go first.
    #[serde(default)]
    pub drain: bool,
    /// How long they may take; without it, 300 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drain_timeout_secs: Option<u64>,
    /// In so many seconds; without it, at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_secs: Option<u64>,
}

impl Order {
    /// `action`, at once.
    pub fn now(action: Action, force: bool) -> Self {
        Self { action, force, drain: false, drain_timeout_secs: None, in_secs: None }
    }

    /// How long a drain may take.
    pub fn drain_timeout(&self) -> Duration {
        self.drain_timeout_secs.map_or(DRAIN_TIMEOUT, Duration::from_secs)
    }
}

/// What is kept until its time comes, also by the agent that is started next: gone with the boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scheduled {
    /// What was asked for.
    pub order: Order,
    /// When, in seconds since the kernel started; the time that the machine slept counts.
    pub at_secs: u64,
}

/// What has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Underway {
    /// What was asked for.
    pub order: Order,
    /// Whether it was scheduled: nobody waits for it then.
    pub is_scheduled: bool,
    /// How far it is.
    pub phase: Phase,
    /// Since when, since the kernel started.
    pub since: Duration,
    /// Somebody asked once more, with force: its pods are not waited for any longer.
    pub is_hurried: bool,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// An operation has to end first.
    Waits,
    /// Its clusters' pods go.
    Drains,
    /// Its own pods end.
    EndsPods,
    /// systemd was told.
    GoesDown,
}

impl Phase {
    /// Its word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waits => "waits",
            Self::Drains => "drains",
            Self::EndsPods => "ends-pods",
            Self::GoesDown => "goes-down",
        }
    }
}

/// What a step depends on.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Time since the kernel started.
    pub now: Duration,
    /// The operation on releases that runs.
    pub operation: Option<String>,
    /// The clusters that it has a Node in; None while nobody knows.
    pub clusters: Option<Vec<Cluster>>,
    /// The pods that still run.
    pub pods: Pods,
}

/// A cluster, as far as a drain goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Its name.
    pub name: String,
    /// None: no pod is left there. Else what it waits for, in a sentence.
    pub waits: Option<String>,
}

/// The pods that still run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Pods {
    /// Nobody knows: the runtime does not answer.
    #[default]
    Unknown,
    /// These, which may take so long in all.
    Run {
        /// Their names.
        names: Vec<String>,
        /// How long.
        grace: Duration,
    },
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing but waiting; why, in a sentence.
    Wait(String),
    /// Go on with the next phase.
    Enter(Phase),
    /// It is not done after all.
    GiveUp(Failure),
}

/// Why it is not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What a script can decide by.
    pub kind: FailureKind,
    /// What was wrong and what to do, in one sentence.
    pub message: String,
}

/// What is reported to who asked; the last is one of the latter two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// How far it is, in a sentence.
    Progress(String),
    /// It is done, or will be.
    Done(String),
    /// It is not.
    Failed(Failure),
}
