//! What is there on the left, what is done on the right.

use std::time::Duration;

use super::*;
use crate::pods::{
    manifest,
    model::{Archive, Failure, Instance, State},
};

const NOW: u64 = 10_000;

fn at(secs: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(secs)
}

fn named(image: &str) -> ImageReference {
    image.parse().unwrap()
}

fn archive(path: &str, reference: &str) -> Archive {
    Archive { path: path.to_owned(), reference: named(reference), config: "sha256:p".to_owned() }
}

fn pod(policy: &str, containers: &str) -> Pod {
    let text = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: web}}, spec: {{restartPolicy: {policy}, \
         terminationGracePeriodSeconds: 7, containers: {containers}}}}}"
    );
    manifest::parse("/m/web.yaml", &text).unwrap()
}

fn one(policy: &str) -> Pod {
    pod(policy, "[{name: c, image: 'localhost/c:1'}]")
}

fn sandbox(pod: &Pod, id: &str, attempt: u32, ready: bool, containers: Vec<Instance>) -> Sandbox {
    Sandbox {
        id: id.to_owned(),
        key: pod.spec.key.clone(),
        uid: pod.uid.clone(),
        attempt,
        ready,
        source: pod.source.clone(),
        text: pod.text.clone(),
        grace: pod.spec.grace,
        since: at(NOW - 100),
        address: "10.88.0.5".to_owned(),
        containers,
    }
}

fn run(id: &str, attempt: u32, crashes: u32, state: State) -> Instance {
    named_run(id, "c", attempt, crashes, state)
}

fn named_run(id: &str, name: &str, attempt: u32, crashes: u32, state: State) -> Instance {
    Instance { id: id.to_owned(), name: name.to_owned(), attempt, crashes, started_at: Some(at(NOW - 50)), state }
}

fn exited(exit_code: i32, finished: u64) -> State {
    State::Exited {
        started_at: Some(at(finished - 1)),
        finished_at: at(finished),
        exit_code,
        reason: String::new(),
        message: String::new(),
    }
}

fn plan_for(pods: &[&Pod], sandboxes: Vec<Sandbox>, change: impl FnOnce(&mut Observed)) -> Plan {
    let pods = pods.iter().map(|&pod| (pod.spec.key.clone(), pod.clone())).collect();
    let images = BTreeMap::from([(named("localhost/c:1"), "sha256:c".to_owned())]);
    let resolver = Some(Resolver::default());
    let mut observed = Observed { sandboxes, images, resolver, ..Observed::default() };
    change(&mut observed);
    plan(&Desired { pods, problems: Vec::new() }, &observed, at(NOW))
}

/// The steps in short, as `run sandbox 0, start c 1 in s`.
fn steps(plan: &Plan) -> String {
    let image = |image: &Image| match image {
        Image::Archive { archive, .. } => format!("import {}", archive.path),
        Image::Registry { reference, .. } => format!("pull {reference}"),
    };
    let step = |step: &Step| match step {
        Step::StopContainers { ends, grace, .. } => {
            let end =
                |end: &End| format!("{}{}{}", end.id, if end.hook.is_some() { "!" } else { "" }, ">".repeat(end.turn));
            format!("end {} in {} s", ends.iter().map(end).collect::<Vec<_>>().join("+"), grace.as_secs())
        }
        Step::StopSandbox { id } => format!("stop {id}"),
        Step::RemoveSandbox { id } => format!("remove {id}"),
        Step::RemoveVolumes { uid: _ } => "remove volumes".to_owned(),
        Step::RemoveContainer { id } => format!("remove {id}"),
        Step::ProvideImage(from) => image(from),
        Step::RunSandbox { attempt, .. } => format!("run sandbox {attempt}"),
        Step::StartContainer { name, sandbox_id, attempt, crashes, leftover, image: from, .. } => {
            let leftover = leftover.as_ref().map_or(String::new(), |id| format!(" after {id}"));
            let from = from.as_ref().map_or(String::new(), |from| format!(" with {}", image(from)));
            format!("start {name} {attempt}/{crashes} in {sandbox_id}{leftover}{from}")
        }
    };
    plan.jobs.iter().flat_map(|job| job.steps.iter().map(step)).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_pod_is_brought_up_step_by_step() {
    let pod = one("Always");
    let live = |containers| vec![sandbox(&pod, "s", 0, true, containers)];
    for (sandboxes, expected, phase) in [
        (vec![], "run sandbox 0", Phase::Pending),
        (live(vec![]), "start c 0/0 in s", Phase::Pending),
        (live(vec![run("r", 0, 0, State::Created)]), "start c 0/0 in s after r", Phase::Pending),
        (live(vec![run("r", 0, 0, State::Running)]), "", Phase::Running),
    ] {
        let plan = plan_for(&[&pod], sandboxes, |_| {});
        assert_eq!((steps(&plan).as_str(), plan.pods[0].phase), (expected, phase));
    }
}

#[test]
fn a_container_that_ended_is_started_again_by_its_policy() {
    let table = [
        ("Always", exited(0, NOW), 0, "start c 1/1 in s", None, Phase::Running),
        ("Always", exited(1, NOW), 1, "", Some(NOW + 10), Phase::Running),
        ("Always", exited(1, NOW - 11), 1, "start c 1/2 in s", None, Phase::Running),
        ("Always", exited(1, NOW - 60), 4, "", Some(NOW + 20), Phase::Running),
        ("OnFailure", exited(1, NOW), 0, "start c 1/1 in s", None, Phase::Running),
        ("OnFailure", exited(0, NOW), 0, "stop s", None, Phase::Succeeded),
        ("Never", exited(0, NOW), 0, "stop s", None, Phase::Succeeded),
        ("Never", exited(1, NOW), 0, "stop s", None, Phase::Failed),
    ];
    for (policy, state, crashes, expected, wake_at, phase) in table {
        let pod = one(policy);
        let plan = plan_for(&[&pod], vec![sandbox(&pod, "s", 0, true, vec![run("r", 0, crashes, state)])], |_| {});
        assert_eq!((steps(&plan).as_str(), plan.pods[0].phase), (expected, phase), "{policy}");
        assert_eq!(plan.wake_at, wake_at.map(at), "{policy}");
    }
}

#[test]
fn after_a_reboot_a_new_sandbox_takes_over_and_the_old_one_goes_last() {
    let pod = one("Always");
    let old = || sandbox(&pod, "old", 0, false, vec![run("r", 0, 0, exited(255, NOW - 5))]);
    let plan = plan_for(&[&pod], vec![old()], |_| {});
    assert_eq!(steps(&plan), "stop old, run sandbox 1");
    let plan = plan_for(&[&pod], vec![old(), sandbox(&pod, "new", 1, true, vec![])], |_| {});
    assert_eq!(steps(&plan), "start c 1/1 in new");
    let new = sandbox(&pod, "new", 1, true, vec![run("q", 1, 1, State::Running)]);
    let plan = plan_for(&[&pod], vec![old(), new], |_| {});
    assert_eq!(steps(&plan), "stop old, remove old");
    let [shown] = &plan.pods[0].containers[..] else { panic!("{:?}", plan.pods) };
    assert_eq!((shown.phase, shown.restarts, &shown.ended), (ContainerPhase::Running, 1, &None));
    assert_eq!(shown.last_ended.as_ref().map(|ended| ended.exit_code), Some(255));
}

#[test]
fn what_is_over_is_not_run_again_after_a_reboot() {
    let pod = one("OnFailure");
    let old = sandbox(&pod, "old", 0, false, vec![run("r", 0, 0, exited(0, NOW - 5))]);
    let plan = plan_for(&[&pod], vec![old], |_| {});
    assert_eq!((steps(&plan).as_str(), plan.pods[0].phase), ("", Phase::Succeeded));
}

#[test]
fn a_changed_pod_ends_before_it_starts_anew_and_an_orphan_ends() {
    let (before, after) = (one("Always"), one("OnFailure"));
    let running = || vec![sandbox(&before, "s", 0, true, vec![run("r", 0, 0, State::Running)])];
    let teardown = "end r in 7 s, stop s, remove s";
    assert_eq!(steps(&plan_for(&[&after], running(), |_| {})), teardown);
    assert_eq!(steps(&plan_for(&[], running(), |_| {})), teardown);
    assert_eq!(steps(&plan_for(&[&after], vec![], |_| {})), "run sandbox 0");
}

#[test]
fn old_runs_are_removed_but_for_the_last_dead_one() {
    let pod = one("Always");
    let runs = (0..3).map(|attempt| run(&format!("r{attempt}"), attempt, 1, exited(1, NOW - 60)));
    let runs = runs.chain([run("r3", 3, 1, State::Running)]).collect();
    let plan = plan_for(&[&pod], vec![sandbox(&pod, "s", 0, true, runs)], |_| {});
    assert_eq!(steps(&plan), "remove r0, remove r1");
}

#[test]
fn images_come_from_the_os_first_then_by_policy() {
    let table = [
        ("IfNotPresent", Some("sha256:c"), None, "start c 0/0 in s"),
        ("IfNotPresent", None, None, "start c 0/0 in s with pull localhost/c:1"),
        ("Always", Some("sha256:c"), None, "start c 0/0 in s with pull localhost/c:1"),
        ("Never", None, None, ""),
        ("Never", None, Some("sha256:c"), "start c 0/0 in s with import /i.tar"),
        ("Always", Some("sha256:c"), Some("sha256:c"), "start c 0/0 in s"),
        ("Always", Some("sha256:old"), Some("sha256:c"), "start c 0/0 in s with import /i.tar"),
    ];
    for (policy, present, archived, expected) in table {
        let pod = pod("Always", &format!("[{{name: c, image: 'localhost/c:1', imagePullPolicy: {policy}}}]"));
        let plan = plan_for(&[&pod], vec![sandbox(&pod, "s", 0, true, vec![])], |observed| {
            let name = || named("localhost/c:1");
            observed.images = present.map(|id| (name(), id.to_owned())).into_iter().collect();
            let archive = |config: &str| Archive { config: config.to_owned(), ..archive("/i.tar", "localhost/c:1") };
            observed.archives = archived.map(|config| (name(), archive(config))).into_iter().collect();
        });
        assert_eq!(steps(&plan), expected, "{policy} {present:?} {archived:?}");
        assert_eq!(plan.pods[0].problem.is_some(), expected.is_empty());
    }
}

/// What the manifest calls the image on the left, what the runtime lists on the right: each is there, and nothing is pulled.
#[test]
fn an_image_that_is_there_under_another_spelling_is_not_pulled() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let at = |name: &str| format!("{name}@{digest}");
    for (written, listed) in [
        (at("localhost/c:1"), at("localhost/c")),
        (at("busybox:1.36"), at("docker.io/library/busybox")),
        ("index.docker.io/busybox:1".to_owned(), "docker.io/library/busybox:1".to_owned()),
        ("docker.io/busybox:1".to_owned(), "docker.io/library/busybox:1".to_owned()),
    ] {
        let pod = pod("Always", &format!("[{{name: c, image: '{written}'}}]"));
        let plan = plan_for(&[&pod], vec![sandbox(&pod, "s", 0, true, vec![])], |observed| {
            observed.images = [(named(&listed), "sha256:c".to_owned())].into();
        });
        assert_eq!(steps(&plan), "start c 0/0 in s", "{written}");
        let [Step::StartContainer { known_as, .. }] = &plan.jobs[0].steps[..] else { panic!("{plan:?}") };
        assert_eq!(*known_as, listed);
    }
}

#[test]
fn what_the_os_brings_along_is_found_by_its_digest() {
    let digest = format!("sha256:{}", "0a".repeat(32));
    let pod = pod("Always", &format!("[{{name: c, image: 'localhost/c:1@{digest}'}}]"));
    for (listed, expected) in
        [(None, "start c 0/0 in s with import /i.tar"), (Some("localhost/c:1"), "start c 0/0 in s")]
    {
        let plan = plan_for(&[&pod], vec![sandbox(&pod, "s", 0, true, vec![])], |observed| {
            observed.images = listed.map(|name| (named(name), "sha256:p".to_owned())).into_iter().collect();
            let name = named("localhost/c:1").with_digest(digest.parse().unwrap());
            observed.archives = [(name, archive("/i.tar", "localhost/c:1"))].into();
        });
        assert_eq!(steps(&plan), expected);
        // The import gives it no digest, so it is called by its configuration.
        let [Step::StartContainer { known_as, .. }] = &plan.jobs[0].steps[..] else { panic!("{plan:?}") };
        assert_eq!(known_as, "sha256:p");
    }
}

#[test]
fn the_sandbox_image_is_taken_from_the_os() {
    let pod = one("Always");
    let plan = plan_for(&[&pod], vec![], |observed| {
        observed.archives.insert(named("localhost/ballast/pause:1"), archive("/p.tar", "localhost/ballast/pause:1"));
    });
    assert_eq!(steps(&plan), "import /p.tar, run sandbox 0");
}

#[test]
fn one_job_at_a_time_and_a_failed_one_waits() {
    let pod = one("Always");
    let failure = |uid: &str, ago, count| Failure {
        uid: uid.to_owned(),
        of_start: true,
        at: at(NOW - ago),
        count,
        message: "no such image".to_owned(),
    };
    let plan = plan_for(&[&pod], vec![], |observed| {
        observed.busy.insert(pod.spec.key.clone(), pod.uid.clone());
    });
    assert_eq!(steps(&plan), "");
    for (uid, ago, count, expected, wake_at) in [
        (pod.uid.as_str(), 5, 1, "", Some(at(NOW + 5))),
        (pod.uid.as_str(), 10, 1, "run sandbox 0", None),
        (pod.uid.as_str(), 10, 2, "", Some(at(NOW + 10))),
        ("another version", 5, 9, "run sandbox 0", None),
    ] {
        let plan = plan_for(&[&pod], vec![], |observed| {
            observed.failures.insert(pod.spec.key.clone(), failure(uid, ago, count));
        });
        assert_eq!((steps(&plan).as_str(), plan.wake_at), (expected, wake_at), "{uid} {ago} {count}");
        let expected = (uid == pod.uid).then(|| "pod web: no such image".to_owned());
        assert_eq!(plan.pods[0].problem, expected);
    }
}

#[test]
fn a_pod_that_could_not_be_started_is_ended_without_delay() {
    let pod = one("Always");
    let plan = plan_for(&[], vec![sandbox(&pod, "s", 0, true, vec![])], |observed| {
        let message = String::new();
        let failure = Failure { uid: pod.uid.clone(), of_start: true, at: at(NOW), count: 9, message };
        observed.failures.insert(pod.spec.key.clone(), failure);
    });
    assert_eq!(steps(&plan), "stop s, remove s");
}

#[test]
fn a_failure_is_forgotten_when_all_runs_anyway() {
    let pod = one("Always");
    for (state, reported) in [(State::Created, true), (State::Running, false)] {
        let plan = plan_for(&[&pod], vec![sandbox(&pod, "s", 0, true, vec![run("r", 0, 0, state)])], |observed| {
            let message = "connection broke".to_owned();
            let failure = Failure { uid: pod.uid.clone(), of_start: true, at: at(NOW), count: 1, message };
            observed.failures.insert(pod.spec.key.clone(), failure);
        });
        assert_eq!(plan.pods[0].problem.is_some(), reported);
    }
}

#[test]
fn a_sandbox_with_its_own_network_waits_for_name_servers() {
    let unknown = |observed: &mut Observed| observed.resolver = None;
    let own = one("Always");
    let plan = plan_for(&[&own], vec![], unknown);
    assert_eq!((steps(&plan).as_str(), plan.wake_at), ("", Some(at(NOW + 1))));
    assert_eq!(plan.pods[0].problem.as_deref(), Some("pod web: waits for the network to name its name servers"));
    let plan = plan_for(&[&own], vec![], |observed| {
        unknown(observed);
        observed.archives.insert(named("localhost/ballast/pause:1"), archive("/p.tar", "localhost/ballast/pause:1"));
    });
    assert_eq!(steps(&plan), "import /p.tar");
    // One that runs is not disturbed.
    let plan = plan_for(&[&own], vec![sandbox(&own, "s", 0, true, vec![run("r", 0, 0, State::Running)])], unknown);
    assert_eq!((steps(&plan).as_str(), plan.pods[0].problem.as_deref()), ("", None));

    let given = |plan: &Plan| match &plan.jobs[0].steps[..] {
        [Step::RunSandbox { resolver, .. }] => resolver.clone(),
        other => panic!("{other:?}"),
    };
    let known = Resolver { servers: vec!["192.0.2.1".to_owned()], ..Resolver::default() };
    let plan = plan_for(&[&own], vec![], |observed| observed.resolver = Some(known.clone()));
    assert_eq!(given(&plan), Some(known));
    let mut host = one("Always");
    host.spec.host_network = true;
    assert_eq!(given(&plan_for(&[&host], vec![], unknown)), None);
}

#[test]
fn problems_are_reported_in_words() {
    let not_started = |message: &str| State::Exited {
        started_at: None,
        finished_at: at(NOW),
        exit_code: 128,
        reason: "StartError".to_owned(),
        message: message.to_owned(),
    };
    let killed = State::Exited {
        started_at: Some(at(NOW - 1)),
        finished_at: at(NOW),
        exit_code: 137,
        reason: "OOMKilled".to_owned(),
        message: "out of memory".to_owned(),
    };
    let table = [
        ("Always", exited(0, NOW), 0, None),
        ("Always", exited(3, NOW), 1, Some("pod web: container c ends again and again, with status 3")),
        ("Never", exited(4, NOW), 0, Some("pod web: container c ended with status 4")),
        ("Never", exited(0, NOW), 0, None),
        ("Always", not_started("exec: no such file"), 1, Some("pod web: container c cannot start: exec: no such file")),
        ("Never", not_started("exec: no such file"), 0, Some("pod web: container c cannot start: exec: no such file")),
        ("Never", killed, 0, Some("pod web: container c ended with status 137 (OOMKilled): out of memory")),
    ];
    for (policy, state, crashes, expected) in table {
        let pod = one(policy);
        let plan = plan_for(&[&pod], vec![sandbox(&pod, "s", 0, true, vec![run("r", 0, crashes, state)])], |_| {});
        assert_eq!(plan.pods[0].problem.as_deref(), expected);
    }
}

#[test]
fn files_of_pods_that_are_gone_are_removed() {
    let (wanted, ended) = (one("Always"), one("Never"));
    let files = |observed: &mut Observed| {
        observed.files = ["gone", "busy", &wanted.uid, &ended.uid].map(str::to_owned).into();
        let key = Key { namespace: "default".to_owned(), name: "other".to_owned() };
        observed.busy.insert(key, "busy".to_owned());
    };
    let plan = plan_for(&[&wanted], vec![sandbox(&ended, "s", 0, false, vec![])], files);
    assert_eq!(plan.leftovers, ["gone"]);
}

mod lifecycle;
