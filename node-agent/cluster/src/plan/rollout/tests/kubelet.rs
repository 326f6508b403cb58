//! What a node does whose kubelet is to be another minor version.

use super::{
    scene::{Scene, check, release},
    *,
};
use crate::model::{FailedRelease, Hosted, PodKind};

/// Kubelet b is here and waits; a runs, and no release is asked for.
fn waiting() -> Scene {
    Scene::new().with(|scene| {
        scene.spec().image = None;
        scene.memory.about.1 = None;
        scene.identity.role = Role::Kubelet;
        let waits = Some(release("b"));
        let state = "healthy".to_owned();
        scene.facts.hosted = Some(Hosted { runs: Some(release("a")), state, waits, ..Hosted::default() });
    })
}

fn hosted(scene: &mut Scene) -> &mut Hosted {
    scene.facts.hosted.as_mut().unwrap()
}

fn draining() -> Scene {
    waiting().with(|scene| {
        scene.hold("me");
        scene.cordon(Cordon::Ours);
        scene.memory.phase = (Phase::Draining, scene.now);
    })
}

#[test]
fn another_minor_version_waits_for_slot_cordon_and_drain() {
    let ordered = draining().with(|scene| scene.memory.kubelet = Some((release("b").digest, scene.now)));
    check(vec![
        ("a slot first", waiting(), "WaitingForSlot: take"),
        ("others have it", waiting().with(|scene| scene.hold("other")), "WaitingForSlot: -"),
        ("then the cordon", waiting().with(|scene| scene.hold("me")), "Draining: cordon"),
        ("then the pods", draining().with(|scene| scene.pod("p", PodKind::Runs)), "Draining: evict"),
        ("they have their grace", draining().with(|scene| scene.pod("p", PodKind::Ends)), "Draining: -"),
        (
            "then it says so",
            draining().with(|scene| scene.memory.reported_from = Some("2".to_owned())),
            "Draining: report",
        ),
        ("then the kubelet", draining(), "Verifying: kubelet"),
        ("ordered", ordered.clone(), "Verifying: -"),
        ("lost", ordered.with(|scene| scene.now += Duration::from_secs(60)), "Verifying: kubelet"),
        ("paused", draining().with(|scene| scene.spec().paused = true), "Paused: uncordon"),
        (
            "not in this window",
            draining().with(|scene| scene.spec().window = vec!["Sun 02:00-04:00 UTC".to_owned()]),
            "WaitingForWindow: uncordon",
        ),
        (
            "a manual reboot is none of it",
            draining().with(|scene| scene.spec().reboot_policy = RebootPolicy::Manual),
            "Verifying: kubelet",
        ),
        (
            "a release comes first",
            waiting().with(|scene| scene.spec().image = Some(release("b").image)),
            "Preparing: prepare",
        ),
    ]);
}

#[test]
fn what_was_taken_is_given_back_once_it_is_well_and_kept_if_it_failed() {
    let started = draining().with(|scene| hosted(scene).waits = None);
    let trial = started.with(|scene| hosted(scene).on_trial = true);
    let failed = |scene: &mut Scene| {
        let (digest, version) = (release("b").digest, "b".to_owned());
        hosted(scene).stuck = Some(FailedRelease { digest, version, reason: "not healthy".to_owned(), at: 0 });
    };
    let stuck = started.with(failed);
    let mut says = stuck.with(|scene| scene.cordon(Cordon::None));
    assert!(says.pass().message.starts_with("kubelet b failed here: not healthy; another spec.kubelet.image"));
    check(vec![
        ("on trial", trial.clone(), "Verifying: report"),
        ("well", started.clone(), "Idle: uncordon"),
        ("then the slot", started.with(|scene| scene.cordon(Cordon::None)), "Idle: give back"),
        ("failed", stuck.clone(), "Failed: uncordon"),
        ("the slot is kept", stuck.with(|scene| scene.cordon(Cordon::None)), "Failed: report"),
        // Nothing was taken for it.
        (
            "a patch",
            waiting().with(|scene| {
                hosted(scene).waits = None;
                hosted(scene).on_trial = true;
                scene.memory.is_settled = true;
            }),
            "Idle: -",
        ),
    ]);
}
