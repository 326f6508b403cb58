//! What kind of failure it was: what the agent branches on. The words are for people.

use std::{fmt, io};

use anyhow::Error;
use serde::{Deserialize, Serialize};

/// Kinds of failures, by what the caller can do. Those of the image proxy have its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The policy forbids the image, or wants a signature that is not there.
    Refused,
    /// There is no such image.
    NotFound,
    /// The network, timeouts, a registry that fails, after all attempts.
    Unreachable,
    /// The registry does not let us in.
    Unauthorized,
    /// What came, or what lies here, is not what its digest says.
    Damaged,
    /// The disk is full.
    NoSpace,
    /// The image is no artifact, or not the one that is asked for.
    NotAnArtifact,
    /// All else.
    Other,
}

/// An error of a kind.
#[derive(Debug)]
pub struct Failure {
    /// Which.
    pub kind: Kind,
    message: String,
}

impl Failure {
    /// As the words say.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// What kind an error is of.
pub fn kind(error: &Error) -> Kind {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return failure.kind;
        }
        if cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::StorageFull) {
            return Kind::NoSpace;
        }
    }
    Kind::Other
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn the_kind_is_that_of_the_cause() {
        let damaged: anyhow::Result<()> = Err(Failure::new(Kind::Damaged, "a").into());
        assert_eq!(kind(&damaged.context("b").unwrap_err()), Kind::Damaged);
        assert_eq!(kind(&Error::from(io::Error::from(io::ErrorKind::StorageFull)).context("c")), Kind::NoSpace);
        assert_eq!(kind(&anyhow::anyhow!("d")), Kind::Other);
    }
}
