mod kubelet;
mod leave;
mod scene;

use self::scene::{Scene, check, digest_of, draining, in_slot, prepared, release, step};
use super::*;
use crate::model::{Failed, FailedRelease, Operation, PodKind, Prepared, Retry};

#[test]
fn nothing_is_done_without_a_wanted_release() {
    let start = Scene::new();
    check(vec![
        ("no NodeOS", start.with(|scene| scene.snapshot.node_os = None), "Idle: -"),
        ("no image", start.with(|scene| scene.spec().image = None), "Idle: -"),
        ("no image, cordoned", draining().with(|scene| scene.spec().image = None), "Idle: uncordon"),
        ("no image, slot held", in_slot().with(|scene| scene.spec().image = None), "Idle: give back"),
        ("bad window", start.with(|scene| scene.spec().window = vec!["x".to_owned()]), "Failed: -"),
        (
            "bad window while draining",
            draining().with(|scene| scene.spec().window = vec!["x".to_owned()]),
            "Failed: uncordon",
        ),
        ("paused", start.with(|scene| scene.spec().paused = true), "Paused: -"),
        ("paused while draining", draining().with(|scene| scene.spec().paused = true), "Paused: uncordon"),
        ("paused, prepared", in_slot().with(|scene| scene.spec().paused = true), "Paused: give back"),
    ]);
}

#[test]
fn a_release_is_prepared_first() {
    let start = Scene::new();
    let ordered = start.with(|scene| {
        scene.memory.last_order = 1;
        scene.memory.order = Some((1, scene.now));
    });
    let failed = |refused: bool| {
        ordered.with(|scene| {
            let image = release("b").image;
            scene.facts.os.failure = Some(Failed { order: 1, image, refused, ..Failed::default() });
        })
    };
    let operation = Some(Operation { name: "upgrade".to_owned(), ..Operation::default() });
    check(vec![
        ("at first", start.clone(), "Preparing: prepare"),
        (
            "while the window is closed",
            start.with(|scene| scene.spec().window = vec!["Sun 02:00-04:00 UTC".to_owned()]),
            "Preparing: prepare",
        ),
        ("manual reboot", start.with(|scene| scene.spec().reboot_policy = RebootPolicy::Manual), "Preparing: prepare"),
        ("ordered", ordered.clone(), "Preparing: -"),
        ("lost", ordered.with(|scene| scene.now += Duration::from_secs(60)), "Preparing: prepare"),
        ("under way", ordered.with(|scene| scene.facts.os.operation = operation.clone()), "Preparing: -"),
        ("by hand", start.with(|scene| scene.facts.os.operation = operation), "Preparing: -"),
        ("failed", failed(false), "Preparing: -"),
        ("refused", failed(true), "Failed: -"),
        (
            "another order's failure",
            failed(true).with(|scene| scene.memory.order = Some((2, scene.now))),
            "Preparing: -",
        ),
        (
            "failed, then another image",
            failed(true).with(|scene| scene.spec().image = Some(release("c").image)),
            "Preparing: prepare",
        ),
        ("a slot of before", in_slot().with(|scene| scene.facts.os.next = None), "Preparing: prepare"),
    ]);
    let mut scene = failed(false);
    assert_eq!(scene.pass().wait, Some(Duration::from_secs(30)));
    scene.now += Duration::from_secs(30);
    assert_eq!(scene.pass().step, Some(Step::Order(Order::Prepare { id: 2, image: release("b").image })));
    let mut scene = failed(true);
    scene.pass();
    scene.now += Duration::from_secs(3600);
    assert!(matches!(scene.pass().step, Some(Step::Order(_))), "somebody may have allowed it");
}

#[test]
fn a_slot_a_cordon_a_drain_a_reboot() {
    let other = |scene: &mut Scene| scene.hold("other");
    let other_pool = |scene: &mut Scene| scene.slot().pool = "old".to_owned();
    let report_only = |scene: &mut Scene| scene.identity.role = Role::ReportOnly;
    let just_touched = prepared().with(|scene| (scene.snapshot.slots, scene.memory.touched) = (None, scene.now));
    check(vec![
        ("manual", prepared().with(|scene| scene.spec().reboot_policy = RebootPolicy::Manual), "Prepared: -"),
        (
            "closed",
            prepared().with(|scene| scene.spec().window = vec!["Sun 02:00-04:00 UTC".to_owned()]),
            "WaitingForWindow: -",
        ),
        (
            "open",
            prepared().with(|scene| scene.spec().window = vec!["Thu 00:00-04:00 UTC".to_owned()]),
            "WaitingForSlot: take",
        ),
        (
            "no clock",
            prepared().with(|scene| {
                scene.spec().window = vec!["Thu 00:00-04:00 UTC".to_owned()];
                scene.facts.clock_is_set = false;
            }),
            "WaitingForWindow: -",
        ),
        (
            "closes while draining",
            draining().with(|scene| scene.spec().window = vec!["Sun 02:00-04:00 UTC".to_owned()]),
            "WaitingForWindow: uncordon",
        ),
        (
            "slots not seen",
            prepared().with(|scene| scene.snapshot.slots = None),
            "WaitingForSlot: fetch slots, maybe cached",
        ),
        ("slots not seen, just touched", just_touched, "WaitingForSlot: fetch slots"),
        ("no slots", prepared().with(|scene| scene.snapshot.slots = Some(Vec::new())), "WaitingForSlot: -"),
        ("free", prepared(), "WaitingForSlot: take"),
        ("taken", prepared().with(other), "WaitingForSlot: -"),
        (
            "not alone, the first, just now",
            in_slot().with(other).with(|scene| scene.memory.touched = scene.now),
            "WaitingForSlot: -",
        ),
        (
            "was alone, and is the first",
            in_slot().with(other).with(|scene| scene.memory.was_alone = true),
            "WaitingForSlot: -",
        ),
        ("not alone for long", in_slot().with(other), "WaitingForSlot: give back"),
        ("not alone, and not the first", in_slot().with(|scene| scene.hold("a")), "WaitingForSlot: give back"),
        ("the same while draining", draining().with(|scene| scene.hold("a")), "WaitingForSlot: uncordon"),
        ("lease not seen", prepared().with(|scene| scene.snapshot.lease = None), "WaitingForSlot: fetch lease"),
        ("not reported", draining().with(|scene| scene.memory.reported_from = None), "Draining: report"),
        (
            "reported in vain",
            draining().with(|scene| scene.memory.reported_from = Some("2".to_owned())),
            "Draining: report",
        ),
        ("a slot of another pool", in_slot().with(other_pool), "WaitingForSlot: give back"),
        ("a slot of another pool, cordoned", draining().with(other_pool), "WaitingForSlot: uncordon"),
        ("node not seen", in_slot().with(|scene| scene.snapshot.node = None), "Draining: fetch node"),
        ("not cordoned", in_slot(), "Draining: cordon"),
        ("cordoned by others", in_slot().with(|scene| scene.cordon(Cordon::Others)), "Rebooting: reboot"),
        ("pods not seen", draining().with(|scene| scene.snapshot.pods = None), "Draining: fetch pods"),
        ("pods", draining().with(|scene| scene.pod("p", PodKind::Runs)), "Draining: evict"),
        ("pods end", draining().with(|scene| scene.pod("p", PodKind::Ends)), "Draining: remove"),
        ("pods that stay", draining().with(|scene| scene.pod("p", PodKind::Stays)), "Rebooting: reboot"),
        (
            "by hand something is done",
            draining().with(|scene| scene.facts.os.operation = Some(Operation::default())),
            "Draining: -",
        ),
        ("report-only", prepared().with(report_only), "WaitingForSlot: take"),
        ("report-only in its slot", in_slot().with(report_only), "Rebooting: reboot"),
        ("going down", draining().with(|scene| scene.memory.reboot = Some(scene.now)), "Rebooting: -"),
        (
            "did not go down",
            draining().with(|scene| {
                scene.memory.reboot = Some(scene.now);
                scene.now += REBOOT_WAIT;
            }),
            "Rebooting: reboot",
        ),
    ]);
}

#[test]
fn who_waits_says_why_the_first_holder_keeps_its_slot() {
    let waits = |reason: &str| {
        let mut scene = prepared();
        scene.hold("other");
        scene.says(reason);
        scene.pass().message
    };
    assert_eq!(waits(""), "pool default: all slots are taken, by other");
    let reported = waits("b failed here: no runtime");
    assert_eq!(reported, "pool default: all slots are taken, by other; other says: b failed here: no runtime");
    let reported = waits(&"é".repeat(300));
    assert!(reported.ends_with(&format!("says: {}…", "é".repeat(120))), "{reported}");
}

#[test]
fn a_drain_that_takes_too_long_is_given_up_or_not() {
    let late = |after: DrainTimeoutPolicy| {
        draining().with(|scene| {
            scene.pod("p", PodKind::Runs);
            scene.spec().drain_timeout_policy = after;
            scene.now += Duration::from_secs(900);
        })
    };
    check(vec![
        ("forced", late(DrainTimeoutPolicy::Force), "Rebooting: reboot"),
        ("given up", late(DrainTimeoutPolicy::Retry), "Prepared: -"),
    ]);
    let mut scene = late(DrainTimeoutPolicy::Retry);
    let decision = scene.pass();
    assert!(decision.gives_up && decision.wait == Some(Duration::ZERO));
    assert_eq!(step(&scene.pass().step.unwrap()), "uncordon");
    scene.cordon(Cordon::None);
    assert_eq!(step(&scene.pass().step.unwrap()), "give back");
    scene.slot().claims.clear();
    let decision = scene.pass();
    assert_eq!((decision.phase, decision.step.is_none()), (Phase::Prepared, true));
    scene.now += Duration::from_secs(300);
    assert_eq!(scene.shown(), "WaitingForSlot: take");
}

#[test]
fn what_runs_and_is_well_gives_back_what_it_took() {
    let runs = |scene: Scene| scene.with(|scene| (scene.facts.os.booted, scene.facts.os.next) = (release("b"), None));
    let unwell = |scene: Scene| scene.with(|scene| scene.facts.ready = Err("no runtime".to_owned()));
    let on_trial = |scene: Scene| scene.with(|scene| scene.facts.os.on_trial = true);
    let settled = |scene: Scene| scene.with(|scene| scene.memory.is_settled = true);
    check(vec![
        ("on trial", on_trial(runs(draining())), "Verifying: report"),
        ("not ready", unwell(runs(draining())), "Verifying: report"),
        ("well, cordoned", runs(draining()), "Idle: uncordon"),
        ("well, cordoned by others", runs(in_slot().with(|scene| scene.cordon(Cordon::Others))), "Idle: give back"),
        ("well, slot", runs(in_slot()), "Idle: give back"),
        ("well", runs(prepared()), "Idle: -"),
        ("well, paused", runs(draining()).with(|scene| scene.spec().paused = true), "Idle: uncordon"),
        ("node not seen", runs(in_slot()).with(|scene| scene.snapshot.node = None), "Idle: fetch node"),
        ("slots not seen", runs(in_slot()).with(|scene| scene.snapshot.slots = None), "Idle: fetch slots"),
        ("long well, not ready", settled(unwell(runs(prepared()))), "Idle: -"),
        ("by hand, on trial", settled(on_trial(runs(prepared()))), "Verifying: -"),
    ]);
    let armed = |scene: Scene| scene.with(|scene| scene.facts.os.next = Some(release("c")));
    check(vec![
        ("another boots next", armed(runs(in_slot())), "Preparing: prepare"),
        ("another boots next, paused", armed(runs(prepared())).with(|scene| scene.spec().paused = true), "Paused: -"),
        ("another boots next, on trial", armed(on_trial(runs(draining()))), "Verifying: report"),
        (
            "it boots next as well",
            runs(in_slot()).with(|scene| scene.facts.os.next = Some(release("b"))),
            "Idle: give back",
        ),
    ]);
    let mut scene = runs(prepared());
    assert_eq!(scene.pass().wait, None);
    assert!(scene.memory.is_settled);
    let mut scene = runs(prepared()).with(|scene| scene.memory.touched = scene.now);
    assert_eq!(scene.pass().wait, Some(memory::LATE), "an answer may still come true");
    assert!(!scene.memory.is_settled);
}

#[test]
fn a_release_that_failed_here_keeps_the_slot() {
    let failed =
        FailedRelease { digest: digest_of("b"), version: "b".to_owned(), reason: "no runtime".to_owned(), at: 0 };
    let fell_back =
        |scene: Scene| scene.with(|scene| (scene.facts.os.failed, scene.facts.os.next) = (vec![failed.clone()], None));
    let reported = |scene: &mut Scene| {
        let message = scene.clone().pass().message;
        scene.says(&message);
    };
    check(vec![
        ("cordoned", fell_back(draining()), "Failed: uncordon"),
        ("not reported", fell_back(in_slot()), "Failed: report"),
        ("reported", fell_back(in_slot()).with(reported), "Failed: -"),
        ("paused", fell_back(in_slot()).with(reported).with(|scene| scene.spec().paused = true), "Failed: -"),
        ("before any slot", fell_back(prepared()), "Failed: -"),
        (
            "another image",
            fell_back(in_slot()).with(|scene| scene.spec().image = Some(release("c").image)),
            "Preparing: prepare",
        ),
        (
            "the old one again",
            fell_back(in_slot()).with(|scene| scene.spec().image = Some(release("a").image)),
            "Idle: give back",
        ),
        ("allowed", fell_back(in_slot()).with(|scene| scene.facts.os.failed.clear()), "Preparing: prepare"),
        (
            "the old one is not ready",
            fell_back(draining()).with(|scene| scene.facts.ready = Err(String::new())),
            "Failed: -",
        ),
    ]);
    let message = fell_back(in_slot()).pass().message;
    assert_eq!(message, "b failed here: no runtime; \"ballast allow\" on the node, or another spec.image, tries again");
}

#[test]
fn a_tag_is_resolved_when_the_spec_changes() {
    let tag = "r.example/os:stable";
    let start = Scene::new().with(|scene| {
        scene.spec().image = Some(tag.to_owned());
        scene.memory.about.1 = Some(tag.to_owned());
    });
    let resolved = |scene: &mut Scene, letter: &str| {
        let resolved = Resolved { image: tag.to_owned(), digest: digest_of(letter) };
        scene.snapshot.node_os.as_mut().unwrap().resolved = Some(resolved);
    };
    let found = |scene: &mut Scene, order: u64, letter: &str| {
        scene.facts.os.prepared = Some(Prepared { order, image: tag.to_owned(), digest: digest_of(letter) });
        scene.memory.order = Some((1, scene.now));
        scene.memory.last_order = 1;
    };
    check(vec![
        ("not resolved", start.clone(), "Preparing: prepare"),
        ("it is what runs", start.with(|scene| resolved(scene, "a")), "Idle: -"),
        ("it is another", start.with(|scene| resolved(scene, "b")), "Preparing: prepare"),
        ("nothing was to be done", start.with(|scene| found(scene, 1, "a")), "Idle: -"),
        ("it does not boot next", start.with(|scene| found(scene, 1, "b")), "Preparing: -"),
        (
            "it boots next",
            start.with(|scene| {
                found(scene, 1, "b");
                scene.facts.os.next = Some(release("b"));
            }),
            "WaitingForSlot: take",
        ),
        (
            "of an order before",
            start.with(|scene| {
                found(scene, 1, "a");
                scene.memory.order = None;
                scene.memory.order_before = 1;
            }),
            "Preparing: prepare",
        ),
    ]);
    // It moved: what it means now is not what was asked for, and asking on and on would not change that.
    let mut moved = start.with(|scene| {
        resolved(scene, "a");
        found(scene, 1, "c");
        scene.facts.os.next = Some(release("c"));
    });
    let decision = moved.pass();
    assert_eq!((decision.phase, decision.step, decision.wait), (Phase::Failed, None, Some(Duration::from_secs(3600))));
    assert!(decision.message.contains("means sha256:cccc"), "{}", decision.message);
    let decision = start.with(|scene| found(scene, 1, "a")).pass();
    assert_eq!(decision.resolved, Some(Resolved { image: tag.to_owned(), digest: digest_of("a") }));
}

#[test]
fn another_boot_begins_anew() {
    let mut scene = draining().with(|scene| {
        scene.memory.reboot = Some(scene.now);
        scene.memory.drain = Retry { failures: 3, ..Retry::default() };
        scene.memory.last_order = 7;
        scene.facts.boot_id = "another".to_owned();
    });
    // Also what it reported about itself: what was on its way then may still come true.
    assert_eq!(scene.clone().shown(), "Draining: report");
    scene.facts.os.failure = Some(Failed { order: 9, ..Failed::default() });
    scene.facts.boot_id = "third".to_owned();
    scene.pass();
    assert_eq!((scene.memory.last_order, scene.memory.drain.failures), (9, 0));
}

#[test]
fn what_begins_without_a_wanted_release_looks_once_and_late() {
    let mut scene = in_slot().with(|scene| scene.spec().image = None);
    scene.memory = Memory::default();
    let decision = scene.pass();
    assert_eq!((decision.step, decision.wait), (None, Some(memory::LATE)));
    scene.now += memory::LATE;
    assert_eq!(scene.shown(), "Idle: give back");
}

#[test]
fn an_order_that_could_not_be_given_is_given_again() {
    let mut scene = draining();
    for _ in 0..2 {
        let Some(Step::Order(order)) = scene.pass().step else { panic!("the node reboots") };
        scene.memory.not_ordered(&order);
    }
}

#[test]
fn readings_and_single_bytes_concern_nobody() {
    let before = Scene::new().facts;
    let mut after = before.clone();
    after.pressure.memory_available_bytes = 1;
    assert!(!concerns(&before, &after));
    let operation = |fetched_bytes: u64| Some(Operation { fetched_bytes, total_bytes: 1000, ..Operation::default() });
    after.os.operation = operation(10);
    let mut later = after.clone();
    later.os.operation = operation(99);
    assert!(concerns(&before, &after) && !concerns(&after, &later));
    later.os.operation = operation(100);
    assert!(concerns(&after, &later));
}
