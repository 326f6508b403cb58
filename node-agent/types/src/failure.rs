//! What kind a failure is, by what a caller can do. The sentence beside it is for people.

use serde::{Deserialize, Serialize};

/// The one list of kinds: between image proxy, worker and agent, in status JSON and in exit statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The release is not one for this node, or not to be trusted.
    Refused,
    /// An image, but no release of Ballast: no ostree commit in it, or no labels.
    NotARelease,
    /// An image, but no artifact, or not the one that is asked for.
    NotAnArtifact,
    /// Another operation is running.
    Busy,
    /// The registry cannot be reached, or sends nothing.
    Unreachable,
    /// The registry wants other credentials.
    Unauthorized,
    /// There is no such release.
    NotFound,
    /// What came or what is there is not what it should be.
    Damaged,
    /// There is no room.
    NoSpace,
    /// Who asked went away.
    Cancelled,
    /// Anything else.
    Failed,
}

/// An error of a kind. Below `anyhow`'s tasks it is found by who branches on it.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Failure {
    kind: FailureKind,
    text: String,
}

impl Failure {
    /// `text` is for people.
    pub fn new(kind: FailureKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }

    /// What a caller branches on.
    pub fn kind(&self) -> FailureKind {
        self.kind
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_words_and_an_unknown_one_is_an_error() {
        assert_eq!(serde_json::to_string(&FailureKind::NotARelease).unwrap(), "\"not-a-release\"");
        assert_eq!(serde_json::from_str::<FailureKind>("\"no-space\"").unwrap(), FailureKind::NoSpace);
        assert!(
            serde_json::from_str::<FailureKind>("\"full\"").unwrap_err().to_string().contains("unknown variant `full`")
        );
    }
}
