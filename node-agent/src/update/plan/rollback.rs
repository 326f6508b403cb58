//! Which release a rollback makes the next to boot.

use super::{boot_entry::New, bootable, booted_entry};
use crate::update::model::{BootEntry, Failure, FailureKind, Observed};

/// The entry to copy: if a rollback is waiting for its reboot already, it is taken back; else the last good release that
/// does not run. A prepared upgrade is given up by it, also if that leaves only the release that runs.
///
/// # Errors
/// If there is no release to go back to, or only one that was revoked.
pub fn target(observed: &Observed) -> Result<&BootEntry, Failure> {
    let entries = bootable(observed);
    let booted = booted_entry(observed);
    let runs = |entry: &BootEntry| observed.booted.as_ref() == Some(&entry.deployment);
    let is_revoked = |entry: &BootEntry| {
        observed.origin(&entry.deployment).is_some_and(|origin| observed.revoked.releases.contains(&origin.digest))
    };
    let refused =
        |entry: &BootEntry, why: &str| Failure::refused(format!("release {} was revoked, {why}", entry.version));
    if let (Some(next), Some(booted)) = (entries.first(), booted)
        && !runs(next)
        && next.is_blessed()
    {
        let why = "so the rollback from it, which waits for its reboot, is not taken back";
        return if is_revoked(booted) { Err(refused(booted, why)) } else { Ok(booted) };
    }
    let is_prepared = entries.first().is_some_and(|next| !runs(next));
    let good = entries.iter().copied().filter(|entry| !runs(entry) && entry.is_blessed());
    let wanted: Vec<&BootEntry> = good.chain(booted.filter(|_| is_prepared)).collect();
    wanted.iter().find(|entry| !is_revoked(entry)).copied().ok_or_else(|| match wanted.first() {
        Some(entry) => refused(entry, "and there is no other to go back to"),
        None => no_other(),
    })
}

fn no_other() -> Failure {
    Failure {
        kind: FailureKind::Failed,
        message: "there is no earlier release on this node to go back to; see ballast releases".to_owned(),
    }
}

/// The new entry for `target`: the same boot, at the top of the list.
pub fn entry(target: &BootEntry) -> New {
    New {
        deployment: target.deployment.clone(),
        version: target.version.clone(),
        linux: target.linux.clone(),
        initrd: target.initrd.clone(),
        options: target.options.clone(),
        is_good: target.is_blessed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::plan::tests::{digest, node};

    #[test]
    fn the_last_good_release_that_does_not_run_is_taken() {
        for (entries, booted, expected) in [
            ("a1 b2", "b", Some("a")),
            ("a1 b2 a3", "a", Some("b")),
            // A rollback that waits for its reboot is taken back.
            ("a1 b2 a3", "b", Some("b")),
            // A prepared upgrade is given up.
            ("a1 b2 c3+3", "b", Some("a")),
            // There is nothing else to go back to: what runs is what boots next again.
            ("a1 c3+3", "a", Some("a")),
            ("a1", "a", None),
            ("a1 b2+0", "a", None),
            ("a1 b2+2", "b", Some("a")),
        ] {
            let observed = node(entries, booted);
            let found = target(&observed).ok().map(|entry| &entry.deployment.commit()[..1]);
            assert_eq!(found, expected, "{entries} booted {booted}");
        }
    }

    #[test]
    fn none_is_gone_back_to_that_was_revoked() {
        for (entries, booted, revoked, expected) in [
            ("a1 b2", "b", "a", None),
            ("a1 b2 c3", "c", "b", Some("a")),
            // A rollback that waits for its reboot stays.
            ("a1 b2 a3", "b", "b", None),
            // A prepared upgrade stays.
            ("a1 c3+3", "a", "a", None),
            ("a1 b2 c3+3", "b", "b", Some("a")),
        ] {
            let mut observed = node(entries, booted);
            observed.revoked.releases.insert(digest(revoked));
            let found = target(&observed);
            let letter = found.as_ref().ok().map(|entry| &entry.deployment.commit()[..1]);
            assert_eq!(letter, expected, "{entries} booted {booted}");
            let is_reported = |failure: &Failure| failure.message.contains(" was revoked, ");
            assert!(found.is_ok() || found.as_ref().is_err_and(is_reported), "{found:?}");
        }
    }
}
