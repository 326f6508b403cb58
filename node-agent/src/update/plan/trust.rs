//! What follows from releases that ran here: how old the next may be, and what is no longer trusted.

use std::cmp::Ordering;

use super::{bootable, booted_digest, booted_entry, compare_versions};
use crate::update::model::{BootEntry, Observed, Step, Unattended};

/// The version below which a release is taken only if that is asked for: what runs, or what proved itself here before.
pub fn floor(observed: &Observed) -> &str {
    let runs = running(observed);
    let known = observed.memory.floor.as_deref();
    known.filter(|known| compare_versions(known, runs) == Ordering::Greater).unwrap_or(runs)
}

/// The version that runs. A derived image has one of its own, and the os-release of what it was made from.
pub fn running(observed: &Observed) -> &str {
    observed.booted_origin().map_or(&*observed.booted_version, |origin| &*origin.version)
}

/// What of the release that runs is not remembered yet. The floor rises once it has proved itself, and not while something else is
/// prepared, which may be an older one that was asked for. What a release on trial revokes holds while it runs; one that falls back is
/// not believed for good.
pub(super) fn to_learn(observed: &Observed) -> Option<Step> {
    let booted = observed.booted.as_ref()?;
    let is_next = bootable(observed).first().is_some_and(|next| next.deployment == *booted);
    let has_proved_itself = booted_entry(observed).is_some_and(BootEntry::is_blessed);
    let reached = floor(observed);
    let is_new = is_next && has_proved_itself && observed.memory.floor.as_deref() != Some(reached);
    let floor = is_new.then(|| reached.to_owned());
    (floor.is_some() || has_proved_itself && observed.revoked != observed.memory.revoked)
        .then(|| Step::Learn { floor, revoked: observed.revoked.clone() })
}

/// What the registry offered last is old news to a node that does not ask it by itself.
pub(super) fn to_forget(observed: &Observed, unattended: Unattended) -> Option<Step> {
    (!unattended.is_on && observed.memory.offered.is_some()).then_some(Step::ForgetOffered)
}

/// One sentence each.
pub(super) fn reasons(observed: &Observed, now: u64) -> Vec<String> {
    let mut reasons = observed.revoked_problems.clone();
    if let Some(digest) = booted_digest(observed).filter(|digest| observed.revoked.releases.contains(digest)) {
        reasons.push(format!(
            "release {} ({}) runs although it was revoked: upgrade to a newer one",
            observed.booted_version,
            digest.short()
        ));
    }
    reasons.extend(observed.memory.offered.as_ref().and_then(|offered| offered.reason(now)));
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::{
        model::{Offered, Revoked},
        plan::{
            plan,
            tests::{digest, node},
        },
    };

    fn learnt(observed: &Observed) -> Option<Option<String>> {
        match plan(observed, Unattended::default(), "", 0) {
            Some(Step::Learn { floor, .. }) => Some(floor),
            None => None,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_floor_is_the_highest_release_that_proved_itself() {
        // entries, what is booted, what is remembered, what is learnt, what holds
        let table = [
            ("a1 b2", "b", None, Some(Some("2")), "2"),
            ("a1 b2", "b", Some("1"), Some(Some("2")), "2"),
            ("a1 b2", "b", Some("2"), None, "2"),
            ("b1 a2", "a", Some("2"), None, "2"),
            ("a1 b2+2", "b", Some("1"), None, "2"),
            ("a1 b2+0", "a", Some("1"), None, "1"),
            // An older one that was asked for is prepared, and was let under the floor.
            ("b1 a2+3", "b", Some("1"), None, "2"),
            ("b1 a2", "a", Some("1"), None, "1"),
        ];
        for (entries, booted, known, learns, holds) in table {
            let mut observed = node(entries, booted);
            observed.memory.floor = known.map(str::to_owned);
            let is_out_of_tries = entries.contains("+0");
            if is_out_of_tries {
                observed.memory.mark_failed(crate::update::model::FailedRelease {
                    digest: digest("b"),
                    version: "2".into(),
                    reason: "x".into(),
                    at: 0,
                });
            }
            assert_eq!(learnt(&observed), learns.map(|floor| floor.map(str::to_owned)), "{entries} {booted} {known:?}");
            assert_eq!(floor(&observed), holds, "{entries} {booted} {known:?}");
        }
    }

    #[test]
    fn what_was_revoked_is_learnt_and_reported() {
        let mut observed = node("a1", "a");
        observed.memory.floor = Some("1".to_owned());
        assert_eq!(plan(&observed, Unattended::default(), "", 0), None);
        observed.revoked = Revoked { keys: [digest("e")].into(), releases: [digest("a")].into() };
        // Whatever else there is to do, which may fail each time.
        assert!(matches!(plan(&observed, Unattended::default(), "nosmt", 0), Some(Step::Learn { .. })));
        assert_eq!(learnt(&observed), Some(None));
        let mut on_trial = Observed { revoked: observed.revoked.clone(), ..node("a1 b2+2", "b") };
        assert_eq!(learnt(&on_trial), None);
        on_trial.entries = node("a1 b2", "b").entries;
        assert_eq!(learnt(&on_trial), Some(None));
        observed.memory.revoked = observed.revoked.clone();
        assert_eq!(learnt(&observed), None);
        let reported = reasons(&observed, 0);
        assert_eq!(reported, ["release 1 (sha256:aaaaaaaaaaaa) runs although it was revoked: upgrade to a newer one"]);
        observed.memory.offered = Some(Offered::new("2", 1_000_000, None));
        assert_eq!(reasons(&observed, 1_000_000).len(), 2);
    }

    #[test]
    fn what_was_offered_is_forgotten_by_a_node_that_does_not_ask() {
        let mut observed = node("a1", "a");
        observed.memory.offered = Some(Offered::new("2", 1_000_000, None));
        for (is_on, expected) in [(true, None), (false, Some(Step::ForgetOffered))] {
            assert_eq!(plan(&observed, Unattended { is_on, ..Unattended::default() }, "", 0), expected);
        }
    }
}
