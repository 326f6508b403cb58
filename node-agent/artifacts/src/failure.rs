//! What kind of failure it was: what the agent branches on. The words are for people.

use std::{fmt, io};

use anyhow::Error;

pub use ballast_types::FailureKind as Kind;

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
    Kind::Failed
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
        assert_eq!(kind(&anyhow::anyhow!("d")), Kind::Failed);
    }
}
