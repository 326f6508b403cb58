//! Whether an offered release is one for this node.

use std::cmp::Ordering;

use super::{booted_digest, compare_versions, floor, next_digest, running};
use crate::update::model::{Failure, Observed, Offer, Upgrade};

/// What to do with an offer that is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It runs already, and boots next.
    Runs,
    /// It is the next to boot.
    IsNext,
    /// It was rolled back from by hand; it is taken again only on request.
    IsLeft,
    /// Take it.
    Take,
}

/// Decides on `offer` for a node of `os_id` and `architecture` (as Go calls it).
///
/// # Errors
/// Why it is not for this node, and what to do.
pub fn admit(
    offer: &Offer,
    observed: &Observed,
    os_id: &str,
    architecture: &str,
    upgrade: &Upgrade,
) -> Result<Admission, Failure> {
    if offer.os_id != os_id {
        let found = if offer.os_id.is_empty() {
            "has no os.ballast.id label".to_owned()
        } else {
            format!("is {}", offer.os_id)
        };
        return Err(Failure::refused(format!("the image {found}; this node is {os_id}: name an image of it")));
    }
    if offer.architecture != architecture {
        let message =
            format!("the image is for {}; name one for {architecture}, which this node is", offer.architecture);
        return Err(Failure::refused(message));
    }
    if observed.revoked.releases.contains(&offer.digest) {
        let (version, digest) = (&offer.version, offer.digest.short());
        return Err(Failure::refused(format!(
            "release {version} ({digest}) was revoked by a release that ran here; upgrade to a newer one"
        )));
    }
    if let Some(failed) = observed.memory.failure_of(&offer.digest) {
        return Err(Failure::refused(format!(
            "release {} ({}) failed here before: {}; to try it again: ballast allow {}",
            failed.version,
            failed.digest.short(),
            failed.reason,
            failed.version
        )));
    }
    if upgrade.unattended && observed.memory.left.as_ref() == Some(&offer.digest) {
        return Ok(Admission::IsLeft);
    }
    let next = next_digest(observed);
    if next == Some(&offer.digest) {
        return Ok(if booted_digest(observed) == next { Admission::Runs } else { Admission::IsNext });
    }
    let floor = floor(observed);
    if !upgrade.allow_downgrade && compare_versions(&offer.version, floor) == Ordering::Less {
        let why = if floor == running(observed) { "runs" } else { "proved itself here" };
        return Err(Failure::refused(format!(
            "release {} is older than {floor}, which {why}; to take it all the same: --allow-downgrade",
            offer.version
        )));
    }
    Ok(Admission::Take)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::{
        model::{FailedRelease, FailureKind, Origin},
        plan::tests::{digest, node},
    };

    fn offer(letter: &str, version: &str) -> Offer {
        Offer {
            digest: digest(letter),
            version: version.to_owned(),
            os_id: "ballast".to_owned(),
            architecture: "amd64".to_owned(),
            layers: Vec::new(),
            installed_bytes: 0,
            objects: 0,
            boot_bytes: 0,
            signed_until: None,
        }
    }

    fn verdict(offer: &Offer, observed: &Observed, upgrade: &Upgrade) -> Result<Admission, String> {
        admit(offer, observed, "ballast", "amd64", upgrade).map_err(|failure| {
            assert_eq!(failure.kind, FailureKind::Refused);
            failure.message
        })
    }

    #[test]
    fn only_newer_releases_of_this_system_are_taken() {
        let observed = node("a1 b2+3", "a");
        let plain = Upgrade::default();
        let any = Upgrade { allow_downgrade: true, ..Upgrade::default() };
        let table = [
            (offer("c", "3"), &plain, Ok(Admission::Take)),
            (offer("c", "1"), &plain, Ok(Admission::Take)),
            (offer("b", "2"), &plain, Ok(Admission::IsNext)),
            (
                offer("c", "0"),
                &plain,
                Err("release 0 is older than 1, which runs; to take it all the same: --allow-downgrade"),
            ),
            (offer("c", "0"), &any, Ok(Admission::Take)),
            (
                Offer { os_id: "x".into(), ..offer("c", "3") },
                &any,
                Err("the image is x; this node is ballast: name an image of it"),
            ),
            (
                Offer { os_id: "".into(), ..offer("c", "3") },
                &any,
                Err("the image has no os.ballast.id label; this node is ballast: name an image of it"),
            ),
            (
                Offer { architecture: "arm64".into(), ..offer("c", "3") },
                &any,
                Err("the image is for arm64; name one for amd64, which this node is"),
            ),
        ];
        for (offer, upgrade, expected) in table {
            assert_eq!(verdict(&offer, &observed, upgrade), expected.map_err(str::to_owned), "{offer:?}");
        }
        assert_eq!(verdict(&offer("a", "1"), &node("a1", "a"), &plain), Ok(Admission::Runs));
        // It runs, but another one would boot next: to stay with it is a change.
        assert_eq!(verdict(&offer("a", "1"), &observed, &plain), Ok(Admission::Take));
    }

    #[test]
    fn what_runs_is_as_old_as_its_image_says() {
        let older = |than: &str| {
            Err(format!("release 2 is older than {than}, which runs; to take it all the same: --allow-downgrade"))
        };
        for (image, os_release, expected) in [
            (Some("1"), "9", Ok(Admission::Take)),
            (Some("9"), "1", older("9")),
            (None, "1", Ok(Admission::Take)),
            (None, "9", older("9")),
        ] {
            let mut observed = node("a1", "a");
            observed.booted_version = os_release.to_owned();
            for origin in observed.on_disk.values_mut() {
                *origin =
                    origin.take().zip(image).map(|(origin, version)| Origin { version: version.to_owned(), ..origin });
            }
            assert_eq!(verdict(&offer("c", "2"), &observed, &Upgrade::default()), expected, "{image:?} {os_release}");
        }
    }

    #[test]
    fn what_proved_itself_once_is_the_floor_also_after_a_rollback() {
        let mut observed = node("c1 a2", "a");
        observed.memory.floor = Some("3".to_owned());
        let reported = verdict(&offer("b", "2"), &observed, &Upgrade::default()).unwrap_err();
        assert_eq!(
            reported,
            "release 2 is older than 3, which proved itself here; to take it all the same: --allow-downgrade"
        );
        let any = Upgrade { allow_downgrade: true, ..Upgrade::default() };
        assert_eq!(verdict(&offer("b", "2"), &observed, &any), Ok(Admission::Take));
        assert_eq!(verdict(&offer("d", "4"), &observed, &Upgrade::default()), Ok(Admission::Take));
    }

    #[test]
    fn what_was_revoked_is_not_taken_whatever_is_allowed() {
        let mut observed = node("a1", "a");
        observed.revoked.releases.insert(digest("b"));
        let any = Upgrade { allow_downgrade: true, ..Upgrade::default() };
        let reported = verdict(&offer("b", "2"), &observed, &any).unwrap_err();
        assert_eq!(
            reported,
            "release 2 (sha256:bbbbbbbbbbbb) was revoked by a release that ran here; upgrade to a newer one"
        );
    }

    #[test]
    fn what_was_rolled_back_from_is_taken_only_when_asked_for() {
        let mut observed = node("b1 a2", "a");
        observed.memory.left = Some(digest("b"));
        let by_itself = Upgrade { unattended: true, ..Upgrade::default() };
        assert_eq!(verdict(&offer("b", "2"), &observed, &by_itself), Ok(Admission::IsLeft));
        assert_eq!(verdict(&offer("b", "2"), &observed, &Upgrade::default()), Ok(Admission::Take));
        assert_eq!(verdict(&offer("c", "3"), &observed, &by_itself), Ok(Admission::Take));
    }

    #[test]
    fn what_failed_here_is_refused_until_it_is_allowed() {
        let mut observed = node("a1", "a");
        observed.memory.mark_failed(FailedRelease {
            digest: digest("c"),
            version: "3".into(),
            reason: "x failed".into(),
            at: 0,
        });
        let reported = verdict(&offer("c", "3"), &observed, &Upgrade::default()).unwrap_err();
        assert_eq!(
            reported,
            "release 3 (sha256:cccccccccccc) failed here before: x failed; to try it again: ballast allow 3"
        );
    }
}
