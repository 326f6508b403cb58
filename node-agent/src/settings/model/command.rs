//! Operations on the settings, and their results.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One operation; one is done at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Change what the operator says on this node.
    Change(Change),
    /// Keep what is on trial.
    Confirm,
    /// Probe again at all that the first boot looked at.
    Refetch,
}

/// A change of the node's own document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What becomes different.
    pub edit: Edit,
    /// Only show what would change.
    #[serde(default)]
    pub dry_run: bool,
    /// Take it back after so many seconds, unless it is confirmed.
    #[serde(default)]
    pub try_secs: Option<u64>,
}

/// What becomes different.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edit {
    /// A key gets a value.
    Set {
        /// As `update.auto`.
        key: String,
        /// As in TOML; texts need no quotes.
        value: String,
    },
    /// A key is taken out.
    Unset {
        /// As `update.auto`; a table, too.
        key: String,
    },
    /// Another document takes the old one's place.
    Document {
        /// All of it.
        text: String,
        /// The checksum ([`checksum`]) of the document that was edited: it must still be there. What was wrong in it may stay wrong.
        /// None puts the new document there whatever there is, and all of it has to be right.
        ///
        /// [`checksum`]: crate::settings::plan::checksum
        instead_of: Option<String>,
    },
}

/// What is reported to the client, in order; the last is one of the latter two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// What will be different.
    Planned(Planned),
    /// It ended well.
    Done(Outcome),
    /// It did not.
    Failed(Failure),
}

/// What a change makes different.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// A unified diff of the documents, without secrets.
    pub difference: String,
    /// What it takes.
    pub needs: Required,
}

/// What it takes for a change to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Required {
    /// The machine gets another name.
    pub hostname: bool,
    /// Units that are reloaded.
    pub reload: Vec<String>,
    /// Units that are restarted.
    pub restart: Vec<String>,
    /// Some of it holds from the next boot on.
    pub reboot: bool,
}

/// How it ended well.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// In one sentence, for people.
    pub message: String,
    /// Whether anything is different now; for a dry run: whether it would be.
    pub changed: bool,
    /// What was planned.
    #[serde(flatten)]
    pub planned: Planned,
    /// After how many seconds it is taken back.
    pub trial_s: Option<u64>,
}

/// How it ended badly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// What a script can decide by.
    pub kind: FailureKind,
    /// What was wrong and what to do.
    pub message: String,
}

/// What a script can decide by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The document is not right; nothing changed.
    Refused,
    /// Another operation or a trial runs.
    Busy,
    /// Anything else.
    Failed,
}

impl Failure {
    /// The document is not right.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Refused, message: message.into() }
    }

    /// Something else comes first.
    pub fn busy(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Busy, message: message.into() }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { kind: FailureKind::Failed, message: format!("{error:#}") }
    }
}

impl fmt::Debug for Edit {
    /// There may be secrets in values.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set { key, value: _ } => write!(formatter, "Set({key})"),
            Self::Unset { key } => write!(formatter, "Unset({key})"),
            Self::Document { text, .. } => write!(formatter, "Document({} bytes)", text.len()),
        }
    }
}
