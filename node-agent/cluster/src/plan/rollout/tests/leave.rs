//! A node that somebody wants to go down.

use super::scene::{Scene, check, draining, in_slot, prepared};
use crate::model::{Cordon, PodKind, Role, Step};

/// Nothing is asked for by its NodeOS, and it is to be emptied.
fn leaving() -> Scene {
    Scene::new().with(|scene| {
        scene.spec().image = None;
        scene.facts.leaves = true;
    })
}

#[test]
fn it_is_emptied_at_any_time_and_without_a_slot() {
    let cordoned = leaving().with(|scene| scene.cordon(Cordon::Ours));
    let kubelets = cordoned.with(|scene| scene.identity.role = Role::Kubelet);
    check(vec![
        ("at first", leaving().with(|scene| scene.snapshot.node = None), "Draining: fetch node"),
        ("not cordoned", leaving(), "Draining: cordon"),
        ("somebody else's cordon", leaving().with(|scene| scene.cordon(Cordon::Others)), "Draining: -"),
        ("pods not seen", cordoned.with(|scene| scene.snapshot.pods = None), "Draining: fetch pods"),
        ("a pod", cordoned.with(|scene| scene.pod("a", PodKind::Runs)), "Draining: evict"),
        ("it ends, and nobody removes it", cordoned.with(|scene| scene.pod("a", PodKind::Ends)), "Draining: remove"),
        ("a kubelet ends it", kubelets.with(|scene| scene.pod("a", PodKind::Ends)), "Draining: -"),
        ("a daemon", cordoned.with(|scene| scene.pod("a", PodKind::Stays)), "Draining: -"),
        ("no NodeOS", cordoned.with(|scene| scene.snapshot.node_os = None), "Draining: -"),
        ("paused", leaving().with(|scene| scene.spec().paused = true), "Draining: cordon"),
        ("a release waits for its slot", prepared().with(|scene| scene.facts.leaves = true), "Draining: cordon"),
        ("no Node", leaving().with(|scene| scene.identity.role = Role::ReportOnly), "Draining: -"),
        (
            "it goes down already",
            in_slot().with(|scene| (scene.facts.leaves, scene.memory.reboot) = (true, Some(scene.now))),
            "Rebooting: -",
        ),
    ]);
    for (mut scene, is_empty) in [
        (cordoned.clone(), true),
        (cordoned.with(|scene| scene.pod("a", PodKind::Stays)), true),
        (kubelets.with(|scene| scene.pod("a", PodKind::Ends)), false),
        (leaving(), false),
        (leaving().with(|scene| scene.identity.role = Role::ReportOnly), true),
    ] {
        assert_eq!(scene.pass().is_empty, is_empty, "{:?}", scene.snapshot);
    }
}

#[test]
fn one_that_stays_after_all_takes_pods_again() {
    let mut scene = leaving().with(|scene| scene.cordon(Cordon::Ours));
    scene.pass();
    scene.facts.leaves = false;
    scene.snapshot.node = None;
    check(vec![("the Node is not seen", scene.clone(), "Draining: fetch node")]);
    scene.cordon_again();
    assert!(matches!(scene.pass().step, Some(Step::Uncordon { .. })));
    scene.cordon(Cordon::None);
    check(vec![("it is as before", scene.clone(), "Idle: -")]);
    // Whose cordon is not ours stays.
    scene.cordon(Cordon::Others);
    check(vec![("somebody else's", scene, "Idle: -")]);
    // A rollout that was draining goes on, with its own cordon.
    let rolling = draining().with(|scene| scene.pod("a", PodKind::Runs));
    check(vec![("a rollout", rolling, "Draining: evict")]);
}
