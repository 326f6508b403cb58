//! When a disk is short, and which pod is ended then, by table.

use super::*;
use crate::pods::manifest;

const MIB: u64 = 1 << 20;

fn at(secs: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(secs)
}

fn room(available: u64, inodes: u64) -> Room {
    Room { bytes: 1000, available_bytes: available, inodes: 1000, available_inodes: inodes }
}

#[test]
fn a_disk_is_short_until_it_has_well_enough() {
    for (available, inodes, was, expected) in [
        (100, 50, false, false),
        (99, 50, false, true),
        (100, 49, false, true),
        (119, 500, true, true),
        (120, 500, true, false),
        (500, 69, true, true),
    ] {
        assert_eq!(is_short(&room(available, inodes), was), expected, "{available} {inodes} {was}");
    }
    assert!(!is_short(&Room::default(), true), "what could not be measured is not short");
    assert_eq!((full_percent(&room(150, 1)), full_percent(&room(149, 1)), full_percent(&Room::default())), (85, 86, 0));
}

/// A pod with this in its volume `v`, and this in the container `c`'s `resources`.
fn pod(name: &str, volume: &str, resources: &str) -> Pod {
    let text = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{volumes: [{{name: v, emptyDir: {volume}}}], \
         containers: [{{name: c, image: x, resources: {resources}}}]}}}}"
    );
    manifest::parse(&format!("/var/lib/ballast/pods/{name}.yaml"), &text).unwrap()
}

fn disk(usage: &[(&Pod, u64, u64)]) -> Observed {
    let entry = |(pod, volume, container): &(&Pod, u64, u64)| {
        let usage = Usage {
            volumes: [("v".to_owned(), volume * MIB)].into(),
            containers: [("c".to_owned(), container * MIB)].into(),
        };
        (pod.uid.clone(), usage)
    };
    Observed { usage: usage.iter().map(entry).collect(), is_measuring_due: true, ..Observed::default() }
}

#[test]
fn a_pod_over_its_limit_is_ended_with_the_kubelets_words() {
    let table = [
        ("{sizeLimit: 4Mi}", "{}", 4, 0, None),
        ("{sizeLimit: 4Mi}", "{}", 5, 0, Some("Usage of EmptyDir volume \"v\" exceeds the limit \"4Mi\"")),
        ("{}", "{}", 5000, 5000, None),
        (
            "{}",
            "{limits: {ephemeral-storage: 8Mi}}",
            5,
            4,
            Some("Pod ephemeral local storage usage exceeds the total limit of containers 8Mi"),
        ),
        ("{}", "{limits: {ephemeral-storage: 8Mi}}", 4, 4, None),
        ("{medium: Memory, sizeLimit: 4Mi}", "{}", 5, 0, None),
    ];
    for (volume, resources, in_volume, in_container, expected) in table {
        let pod = pod("web", volume, resources);
        let disk = disk(&[(&pod, in_volume, in_container)]);
        let evicted = evictions([&pod].into_iter(), &disk);
        let expected: Vec<_> = expected.map(|why| (pod.uid.clone(), why.to_owned())).into_iter().collect();
        assert_eq!(evicted, expected, "{volume} {resources}");
        let has_limit = !volume.contains("Memory") && (volume != "{}" || resources != "{}");
        assert_eq!(measured([&pod].into_iter(), &disk).len(), usize::from(has_limit), "{volume} {resources}");
    }
    let pod = pod("web", "{sizeLimit: 4Mi}", "{}");
    let mut disk = disk(&[(&pod, 9, 0)]);
    let eviction = Eviction { at: 0, message: String::new() };
    disk.evicted.insert(pod.uid.clone(), eviction);
    assert!(evictions([&pod].into_iter(), &disk).is_empty(), "it is ended once");
}

#[test]
fn a_container_over_its_own_limit_ends_its_pod_though_another_has_none() {
    let text = "{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: [{name: c, image: x, resources: {limits: \
                {ephemeral-storage: 1Mi}}}, {name: d, image: x}]}}";
    let pod = manifest::parse("/a.yaml", text).unwrap();
    let evicted = evictions([&pod].into_iter(), &disk(&[(&pod, 0, 2)]));
    assert_eq!(evicted[0].1, "Container c exceeded its local ephemeral storage limit \"1Mi\"");
}

#[test]
fn a_short_disk_ends_who_is_furthest_above_what_it_asked_for() {
    let asked = pod("asked", "{}", "{requests: {ephemeral-storage: 100Mi}}");
    let small = pod("small", "{}", "{}");
    let large = pod("large", "{}", "{}");
    let tiny = pod("tiny", "{}", "{}");
    let all = [&asked, &small, &large, &tiny];
    let short = |usage: &[(&Pod, u64, u64)]| Observed { is_short: true, exhausted_at: Some(at(1)), ..disk(usage) };
    let usage = [(&asked, 120, 0), (&small, 10, 5), (&large, 30, 1), (&tiny, 0, 0)];
    let of = |disk: &Observed| {
        let evicted = evictions(all.into_iter(), disk);
        assert!(evicted.len() <= 1, "one at a time: {evicted:?}");
        let name = |uid: &String| all.iter().find(|pod| pod.uid == *uid).map(|pod| pod.spec.key.name.clone());
        evicted.first().and_then(|(uid, _)| name(uid))
    };
    assert_eq!(of(&short(&usage)).as_deref(), Some("large"));
    assert_eq!(
        of(&short(&[(&asked, 140, 0), (&small, 10, 5), (&large, 0, 0), (&tiny, 0, 0)])).as_deref(),
        Some("asked")
    );
    // Not before all are measured, images are gone, and only if it frees something.
    assert_eq!(of(&short(&usage[..3])), None);
    assert_eq!(of(&Observed { exhausted_at: None, ..short(&usage) }), None);
    assert_eq!(of(&Observed { is_short: false, ..short(&usage) }), None);
    assert_eq!(of(&short(&[(&asked, 0, 0), (&small, 0, 0), (&large, 0, 0), (&tiny, 0, 0)])), None);
    let mut own = large.clone();
    own.source = "/usr/lib/ballast/pods/own.yaml".to_owned();
    assert!(evictions([&own].into_iter(), &short(&[(&own, 500, 0)])).is_empty(), "the image's own pods stay");
    let message = &evictions([&large].into_iter(), &short(&usage))[0].1;
    assert_eq!(message, "The node was low on resource: ephemeral-storage. Pod large was using 31Mi, request is 0");
    assert_eq!(measured(all.into_iter(), &short(&usage)).len(), 4);
}

/// As passes go: removing images finds nothing to remove in between, and takes milliseconds.
#[test]
fn a_short_disk_ends_no_other_pod_before_the_first_is_gone() {
    let pods = [pod("a", "{}", "{}"), pod("b", "{}", "{}"), pod("c", "{}", "{}")];
    let mut running: Vec<&Pod> = pods.iter().collect();
    let usage = [(&pods[0], 30, 0), (&pods[1], 20, 0), (&pods[2], 10, 0)];
    let mut disk = Observed { is_short: true, exhausted_at: Some(at(1)), ..disk(&usage) };
    for expected in &pods[..2] {
        let evicted = evictions(running.iter().copied(), &disk);
        assert_eq!(evicted.iter().map(|(uid, _)| uid).collect::<Vec<_>>(), [&expected.uid]);
        disk.evicted.insert(expected.uid.clone(), Eviction { at: 1, message: String::new() });
        disk.usage.remove(&expected.uid);
        // In its grace.
        for pass in 2..5 {
            disk.exhausted_at = Some(at(pass));
            assert_eq!(evictions(running.iter().copied(), &disk), []);
        }
        running.retain(|pod| pod.uid != expected.uid);
    }
    // What went was enough.
    disk.is_short = false;
    assert_eq!(evictions(running.iter().copied(), &disk), []);
}

#[test]
fn an_ended_pod_starts_again_after_a_while_if_it_is_to_run_always() {
    let always = pod("web", "{}", "{}");
    let mut never = always.clone();
    never.spec.restart_policy = RestartPolicy::Never;
    let eviction = Eviction { at: 1000, message: String::new() };
    for (pod, short, now, expected) in [
        (&always, false, 1000, true),
        (&always, false, 1299, true),
        (&always, false, 1300, false),
        (&always, true, 9000, true),
        (&never, false, 9000, true),
    ] {
        assert_eq!(is_in_force(&eviction, pod, short, at(now)), expected, "{now}");
    }
}
