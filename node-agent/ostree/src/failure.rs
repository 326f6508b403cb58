//! What kind of failure it was: what the agent branches on. The words are for people.

use std::io;

use anyhow::Error;
use ostree_ext::{gio, glib};

pub(crate) use ballast_types::{Failure, FailureKind as Kind};

/// The kind of an error: as it was said, or by what lies beneath.
pub(crate) fn kind(error: &Error) -> Kind {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.kind();
    }
    let is_full = error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::StorageFull);
        io || cause.downcast_ref::<glib::Error>().is_some_and(|error| error.matches(gio::IOErrorEnum::NoSpace))
    });
    // libostree's own check before it writes (min-free-space) has no code of its own, and `ostree commit` only words.
    if is_full || ["No space left on device", "min-free-space"].iter().any(|words| format!("{error:#}").contains(words))
    {
        return Kind::NoSpace;
    }
    Kind::Failed
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn the_kind_is_found_below_what_was_being_done() {
        let full = io::Error::from_raw_os_error(28);
        let glib = glib::Error::new(gio::IOErrorEnum::NoSpace, "writing");
        let table = [
            (Error::new(Failure::new(Kind::Refused, "no")).context("fetching"), Kind::Refused),
            (anyhow!("x").context(Failure::new(Kind::Damaged, "no")).context("fetching"), Kind::Damaged),
            (Error::new(full).context("writing"), Kind::NoSpace),
            (Error::new(glib).context("writing"), Kind::NoSpace),
            (anyhow!("min-free-space-percent '3%' would be exceeded"), Kind::NoSpace),
            (anyhow!("x"), Kind::Failed),
        ];
        for (error, expected) in table {
            assert_eq!(kind(&error), expected, "{error:#}");
        }
        assert_eq!(serde_json::to_string(&Kind::NotARelease).unwrap(), "\"not-a-release\"");
    }
}
