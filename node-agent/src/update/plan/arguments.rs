//! The settings' arguments for the kernel: which boot has them.
//!
//! Only the release that runs and has proved itself gets others, in an entry on trial with tries of its own: arguments that do not boot fall
//! back to the entry before, and fail no release. An upgrade takes along what the running kernel has.

use super::{boot_entry, bootable, booted_entry};
use crate::update::model::{BootEntry, Observed};

/// Whether an entry is to be written, so that the release that runs boots with `wanted`.
pub fn is_missing(observed: &Observed, wanted: &str) -> bool {
    let next = bootable(observed).into_iter().next();
    let Some(next) = next.filter(|next| observed.booted.as_ref() == Some(&next.deployment)) else { return false };
    let is_proved = booted_entry(observed).is_some_and(BootEntry::is_blessed);
    is_proved && boot_entry::arguments(&next.options) != wanted && failed(observed, wanted).is_none()
}

/// The entry that was to boot the running release with `wanted`, and did not.
fn failed<'o>(observed: &'o Observed, wanted: &str) -> Option<&'o BootEntry> {
    let mut used_up = observed.entries.iter().filter(|entry| entry.is_exhausted());
    used_up.find(|entry| {
        observed.booted.as_ref() == Some(&entry.deployment) && boot_entry::arguments(&entry.options) == wanted
    })
}

/// What people must know of them.
pub fn reason(observed: &Observed, wanted: &str) -> Option<String> {
    if observed.booted_arguments == wanted || observed.booted.is_none() {
        return None;
    }
    Some(match failed(observed, wanted) {
        Some(_) => "the kernel did not come up healthy with kernel.arguments of the settings, so it runs with those from before; others are \
                    tried when they are set"
            .to_owned(),
        None => "kernel.arguments of the settings hold from the next boot on".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::plan::tests::node;

    /// A node whose entries, in their order, have these arguments.
    fn with(entries: &str, booted: &str, arguments: &[&str], runs_with: &str) -> Observed {
        let mut observed = node(entries, booted);
        for (one, arguments) in observed.entries.iter_mut().zip(arguments) {
            one.options = boot_entry::with_arguments(&one.options, arguments);
        }
        observed.booted_arguments = runs_with.to_owned();
        observed
    }

    #[test]
    fn an_entry_is_written_for_what_runs_and_is_good() {
        for (entries, booted, arguments, runs_with, expected) in [
            ("a1", "a", &[""][..], "", true),
            ("a1", "a", &["nosmt"], "nosmt", false),
            // It is there, and waits for its boot; it is on trial.
            ("a1 a2+3", "a", &["", "nosmt"], "", false),
            ("a1 a2+2", "a", &["", "nosmt"], "nosmt", false),
            ("a1+2", "a", &[""], "", false),
            // Another release boots next.
            ("a1 b2+3", "a", &["", ""], "", false),
            // They did not boot.
            ("a1 a2+0", "a", &["", "nosmt"], "", false),
            ("a1 a2+0", "a", &["", "other"], "", true),
        ] {
            let observed = with(entries, booted, arguments, runs_with);
            assert_eq!(is_missing(&observed, "nosmt"), expected, "{entries} {arguments:?}");
        }
    }

    #[test]
    fn it_is_reported_when_they_hold() {
        let reported = |observed| reason(&observed, "nosmt").unwrap_or_default();
        assert!(reported(with("a1", "a", &[""], "")).ends_with("from the next boot on"));
        assert!(reported(with("a1 a2+0", "a", &["", "nosmt"], "")).starts_with("the kernel did not come up"));
        assert_eq!(reported(with("a1", "a", &["nosmt"], "nosmt")), "");
    }
}
