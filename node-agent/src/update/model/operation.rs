//! Operations on releases, their progress, and their results.

use ballast_types::FailureKind;
pub use ballast_types::releases::{Phase, Progress};
use serde::{Deserialize, Serialize};

use super::Digest;

/// One operation; one is done at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Take the node to another release.
    Upgrade(Upgrade),
    /// Make the release before this one the next to boot.
    Rollback {
        /// And boot it now.
        reboot: bool,
    },
    /// Keep a release until it is unpinned.
    Pin(Target),
    /// Let a release be collected again.
    Unpin(Target),
    /// Forget that a release was bad.
    Allow(Target),
    /// Check every object of the repository.
    Fsck {
        /// Fetch what is damaged anew.
        repair: bool,
    },
    /// Remove what is not needed any more.
    Collect,
    /// Let the release that runs boot with the arguments of the settings: the agent's own.
    Arguments,
}

/// What `ballast upgrade` can be given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Upgrade {
    /// The image; by default the one of the settings, else the one that the booted release came from.
    pub image: Option<String>,
    /// Only look whether there is another release.
    pub check: bool,
    /// Fetch it and stop.
    pub fetch_only: bool,
    /// Boot it at once.
    pub reboot: bool,
    /// Also take an older release.
    pub allow_downgrade: bool,
    /// Nobody asked for it: a release that was rolled back from by hand is left alone.
    pub unattended: bool,
}

/// A release, named by its version, its digest or the beginning of that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The name.
    pub release: String,
}

impl Command {
    /// What people call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Upgrade(_) => "upgrade",
            Self::Rollback { .. } => "rollback",
            Self::Pin(_) => "pin",
            Self::Unpin(_) => "unpin",
            Self::Allow(_) => "allow",
            Self::Fsck { .. } => "fsck",
            Self::Collect => "collect",
            Self::Arguments => "kernel arguments",
        }
    }

    /// Whether the node began it by itself.
    pub fn is_unattended(&self) -> bool {
        matches!(self, Self::Upgrade(upgrade) if upgrade.unattended)
    }

    /// Whether it goes on after the agent was restarted: what changes the node towards a release that was asked for.
    pub fn is_resumed(&self) -> bool {
        match self {
            Self::Upgrade(upgrade) => !upgrade.check,
            Self::Rollback { .. }
            | Self::Pin(_)
            | Self::Unpin(_)
            | Self::Allow(_)
            | Self::Fsck { .. }
            | Self::Collect
            | Self::Arguments => false,
        }
    }

    /// Whether an upgrade that was cut short is not wanted any more once this is asked for: who goes back does not want to be taken
    /// forward again.
    pub fn replaces_wanted(&self) -> bool {
        self.is_resumed() || matches!(self, Self::Rollback { .. })
    }
}

/// What is reported to the client that asked for an operation, in order; the last is one of the latter two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// How far it is.
    Progress(Progress),
    /// It ended well.
    Done(Outcome),
    /// It did not.
    Failed(Failure),
}

/// How an operation ended well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// In one sentence, for people.
    pub message: String,
    /// Whether anything is different now; for `--check`: whether there is another release.
    pub changed: bool,
    /// The release that it was about.
    pub digest: Option<Digest>,
    /// Its version.
    pub version: Option<String>,
    /// Bytes that were fetched, or would have to be.
    pub fetch_bytes: Option<u64>,
    /// Whether the node reboots now.
    pub reboots: bool,
}

/// How an operation ended badly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What a script can decide by.
    pub kind: FailureKind,
    /// What was wrong and what to do, in one sentence.
    pub message: String,
}

impl Failure {
    /// A refusal.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Refused, message: message.into() }
    }

    /// With what was being done in front.
    #[must_use]
    pub fn while_doing(self, what: &str) -> Self {
        Self { message: format!("{what}: {}", self.message), ..self }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { kind: FailureKind::Failed, message: format!("{error:#}") }
    }
}
