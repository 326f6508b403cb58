//! What kind of failure it was: what the agent branches on. The words are for people.

use std::io;

use anyhow::Error;

pub use ballast_types::{Failure, FailureKind as Kind};

/// What kind an error is of.
pub fn kind(error: &Error) -> Kind {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<Failure>() {
            return failure.kind();
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
