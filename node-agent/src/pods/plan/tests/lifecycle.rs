//! Init containers, sidecars, probes, hooks, deadlines and Jobs.

use super::*;
use crate::pods::probes::model::{Failed, Kind, Verdict};

fn pod_of(spec: &str) -> Pod {
    let text = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: web}}, spec: {{terminationGracePeriodSeconds: 7, {spec}}}}}"
    );
    manifest::parse("/m/web.yaml", &text).unwrap()
}

const TWO_STEPS: &str = "initContainers: [{name: a, image: 'localhost/c:1'}, {name: s, image: 'localhost/c:1', restartPolicy: Always}, \
                         {name: b, image: 'localhost/c:1'}], containers: [{name: c, image: 'localhost/c:1'}]";

/// `a+ s b-`: a ended well, s runs, b ended badly long ago, each for the first time; `c=`: it ended badly just now.
fn runs(text: &str) -> Vec<Instance> {
    let one = |word: &str| {
        let (name, state) = match word.split_at(1) {
            (name, "+") => (name, exited(0, NOW - 60)),
            (name, "-") => (name, exited(1, NOW - 60)),
            (name, "=") => (name, exited(1, NOW)),
            (name, _) => (name, State::Running),
        };
        named_run(name, name, 0, 1, state)
    };
    text.split_whitespace().map(one).collect()
}

#[test]
fn init_containers_come_one_after_the_other_and_sidecars_run_on() {
    let table = [
        ("Always", "", "start a 0/0 in s", Phase::Pending),
        ("Always", "a", "", Phase::Pending),
        ("Always", "a-", "start a 1/2 in s", Phase::Pending),
        ("Always", "a=", "", Phase::Pending),
        ("Never", "a-", "stop s", Phase::Failed),
        ("Always", "a+", "start s 0/0 in s", Phase::Pending),
        ("Always", "a+ s", "start b 0/0 in s", Phase::Pending),
        ("Always", "a+ s-", "start s 1/2 in s", Phase::Pending),
        ("Always", "a+ s b", "", Phase::Pending),
        ("Always", "a+ s b+", "start c 0/0 in s", Phase::Pending),
        ("Always", "a+ s b+ c", "", Phase::Running),
        ("Always", "a+ s+ b+ c", "start s 1/2 in s", Phase::Running),
        ("OnFailure", "a+ s+ b+ c-", "start s 1/2 in s, start c 1/2 in s", Phase::Running),
        // It ends with those that it serves.
        ("OnFailure", "a+ s b+ c+", "end s>> in 7 s, stop s", Phase::Succeeded),
        ("Never", "a+ s b+ c-", "end s>> in 7 s, stop s", Phase::Failed),
        ("Never", "a+ s+ b+ c-", "stop s", Phase::Failed),
        ("Never", "a+ s b-", "end s>> in 7 s, stop s", Phase::Failed),
    ];
    for (policy, there, expected, phase) in table {
        let pod = pod_of(&format!("restartPolicy: {policy}, {TWO_STEPS}"));
        let plan = plan_for(&[&pod], vec![sandbox(&pod, "s", 0, true, runs(there))], |_| {});
        assert_eq!((steps(&plan).as_str(), plan.pods[0].phase), (expected, phase), "{policy} {there}");
    }
}

#[test]
fn init_containers_run_again_in_a_new_sandbox() {
    let pod = pod_of(TWO_STEPS);
    let old = |there: &str| sandbox(&pod, "old", 0, false, runs(there));
    let new = || sandbox(&pod, "new", 1, true, vec![]);
    assert_eq!(steps(&plan_for(&[&pod], vec![old("a+ s b+ c")], |_| {})), "stop old, run sandbox 1");
    assert_eq!(steps(&plan_for(&[&pod], vec![old("a+ s b+ c"), new()], |_| {})), "start a 1/0 in new");
    assert_eq!(steps(&plan_for(&[&pod], vec![old("a")], |_| {})), "stop old, run sandbox 1");
    // What failed for good is not tried again.
    let never = pod_of(&format!("restartPolicy: Never, {TWO_STEPS}"));
    let old = sandbox(&never, "old", 0, false, runs("a-"));
    let plan = plan_for(&[&never], vec![old], |_| {});
    assert_eq!((steps(&plan).as_str(), plan.pods[0].phase), ("", Phase::Failed));
    let expected = "pod web: init container a ended with status 1";
    assert_eq!(plan.pods[0].problem.as_deref(), Some(expected));
}

#[test]
fn a_sidecar_has_started_when_its_startup_probe_says_so() {
    let pod = pod_of(
        "initContainers: [{name: s, image: 'localhost/c:1', restartPolicy: Always, startupProbe: {tcpSocket: {port: 1}}}], \
         containers: [{name: c, image: 'localhost/c:1'}]",
    );
    for (verdict, expected) in [(None, ""), (Some(false), ""), (Some(true), "start c 0/0 in s")] {
        let plan = plan_for(&[&pod], vec![sandbox(&pod, "s", 0, true, runs("s"))], |observed| {
            let verdict = verdict.map(|is_started| Verdict { is_started, ..Verdict::default() });
            observed.verdicts = verdict.into_iter().map(|verdict| ("s".to_owned(), verdict)).collect();
        });
        assert_eq!(steps(&plan), expected, "{verdict:?}");
        assert_eq!(plan.probed.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["s"]);
    }
}

#[test]
fn a_container_whose_probe_failed_is_ended_and_then_started_by_its_policy() {
    let probe = |grace: &str| format!("{{tcpSocket: {{port: 1}}{grace}}}");
    let pod_with = |grace: &str| {
        pod_of(&format!(
            "containers: [{{name: c, image: 'localhost/c:1', livenessProbe: {}, lifecycle: {{preStop: {{sleep: {{seconds: 1}}}}}}}}, \
             {{name: d, image: 'localhost/c:1'}}]",
            probe(grace)
        ))
    };
    for (grace, expected) in [("", "end c! in 7 s"), (", terminationGracePeriodSeconds: 3", "end c! in 3 s")] {
        let pod = pod_with(grace);
        let plan = plan_for(&[&pod], vec![sandbox(&pod, "s", 0, true, runs("c d"))], |observed| {
            let failed = Some(Failed { kind: Kind::Liveness, message: "no".to_owned() });
            observed.verdicts.insert("c".to_owned(), Verdict { failed, is_started: true, ..Verdict::default() });
        });
        assert_eq!(steps(&plan), expected);
    }
}

#[test]
fn readiness_is_of_all_that_serve() {
    let pod = pod_of(
        "initContainers: [{name: a, image: 'localhost/c:1'}, {name: s, image: 'localhost/c:1', restartPolicy: Always}], containers: \
         [{name: c, image: 'localhost/c:1', readinessProbe: {tcpSocket: {port: 1}}}]",
    );
    let verdict = |is_ready| {
        Some(Verdict {
            is_started: true,
            is_ready,
            unready: (!is_ready).then(|| "no".to_owned()),
            ..Verdict::default()
        })
    };
    let table = [
        ("a+ s c", None, "s", false),
        ("a+ s c", verdict(false), "s", false),
        ("a+ s c", verdict(true), "sc", true),
        ("a+ s+ c", verdict(true), "c", false),
        ("a", None, "", false),
    ];
    for (there, verdict, ready, whole) in table {
        let plan = plan_for(&[&pod], vec![sandbox(&pod, "s", 0, true, runs(there))], |observed| {
            observed.verdicts = verdict.clone().into_iter().map(|verdict| ("c".to_owned(), verdict)).collect();
        });
        let status = &plan.pods[0];
        let names: String = status
            .containers
            .iter()
            .filter(|one| one.is_ready && one.role != Role::Init)
            .map(|one| &*one.name)
            .collect();
        assert_eq!((names.as_str(), status.is_ready), (ready, whole), "{there} {verdict:?}");
        let unready = verdict.filter(|verdict| !verdict.is_ready).map(|_| "container c is not ready: no");
        assert_eq!(status.unready.as_deref(), unready);
    }
}

#[test]
fn a_pod_that_is_ended_ends_its_sidecars_last_and_by_the_copy_of_its_manifest() {
    let before = pod_of(
        "initContainers: [{name: s, image: x, restartPolicy: Always}, {name: t, image: x, restartPolicy: Always}], containers: \
         [{name: c, image: x, lifecycle: {preStop: {sleep: {seconds: 1}}}}]",
    );
    let there = || vec![sandbox(&before, "s", 0, true, runs("s t c"))];
    assert_eq!(steps(&plan_for(&[], there(), |_| {})), "end s>>+t>+c! in 7 s, stop s, remove s");
}

#[test]
fn the_deadline_is_from_the_first_start() {
    // The first sandbox is 100 s old.
    let table = [
        (100, "c", "end c in 7 s, stop s", Phase::Failed, Some("DeadlineExceeded"), None),
        (101, "c", "", Phase::Running, None, Some(NOW + 1)),
        (100, "", "stop s", Phase::Failed, Some("DeadlineExceeded"), None),
        // It ended before.
        (100, "c+", "stop s", Phase::Succeeded, None, None),
        (20, "c+", "stop s", Phase::Failed, Some("DeadlineExceeded"), None),
    ];
    for (secs, there, expected, phase, reason, wake_at) in table {
        let pod = pod_of(&format!(
            "restartPolicy: OnFailure, activeDeadlineSeconds: {secs}, containers: [{{name: c, image: 'localhost/c:1'}}]"
        ));
        let plan = plan_for(&[&pod], vec![sandbox(&pod, "s", 0, true, runs(there))], |_| {});
        let status = &plan.pods[0];
        assert_eq!((steps(&plan).as_str(), status.phase, status.reason), (expected, phase, reason), "{secs} {there}");
        assert_eq!(plan.wake_at, wake_at.map(at), "{secs} {there}");
        // Its records say so as long as they are there.
        let plan = plan_for(&[&pod], vec![sandbox(&pod, "s", 0, false, runs(there))], |_| {});
        assert_eq!(
            (plan.pods[0].reason, steps(&plan).as_str()),
            (reason, if secs == 101 { "stop s, run sandbox 1" } else { "" })
        );
    }
}

fn job(policy: &str, limit: u32) -> Pod {
    let mut pod = pod_of(&format!("restartPolicy: {policy}, containers: [{{name: c, image: 'localhost/c:1'}}]"));
    pod.spec.backoff_limit = Some(limit);
    pod
}

#[test]
fn a_job_that_restarts_in_place_is_over_after_as_many_restarts() {
    for (limit, attempt, expected, phase, reason) in [
        (2, 1, "start c 2/2 in s", Phase::Running, None),
        (2, 2, "stop s", Phase::Failed, Some("BackoffLimitExceeded")),
        (0, 0, "stop s", Phase::Failed, Some("BackoffLimitExceeded")),
    ] {
        let pod = job("OnFailure", limit);
        let there = vec![run("r", attempt, 1, exited(1, NOW - 60))];
        let plan = plan_for(&[&pod], vec![sandbox(&pod, "s", 0, true, there)], |_| {});
        let status = &plan.pods[0];
        assert_eq!(
            (steps(&plan).as_str(), status.phase, status.reason),
            (expected, phase, reason),
            "{limit} {attempt}"
        );
    }
    // One that runs its last try is let do so.
    let pod = job("OnFailure", 1);
    let plan = plan_for(&[&pod], vec![sandbox(&pod, "s", 0, true, vec![run("r", 1, 1, State::Running)])], |_| {});
    assert_eq!((steps(&plan).as_str(), plan.pods[0].phase), ("", Phase::Running));
}

#[test]
fn a_job_that_never_restarts_is_tried_in_a_new_sandbox_with_empty_volumes() {
    let pod = job("Never", 1);
    let first = |ready, finished| sandbox(&pod, "s", 0, ready, vec![run("r", 0, 0, exited(1, finished))]);
    let plan = plan_for(&[&pod], vec![first(true, NOW)], |_| {});
    assert_eq!((steps(&plan).as_str(), plan.pods[0].phase), ("stop s", Phase::Running));
    let plan = plan_for(&[&pod], vec![first(false, NOW)], |_| {});
    assert_eq!((steps(&plan).as_str(), plan.wake_at), ("", Some(at(NOW + 10))));
    let plan = plan_for(&[&pod], vec![first(false, NOW - 10)], |_| {});
    assert_eq!(steps(&plan), "stop s, remove volumes, run sandbox 1");
    let second = |runs| sandbox(&pod, "t", 1, true, runs);
    let plan = plan_for(&[&pod], vec![first(false, NOW - 10), second(vec![])], |_| {});
    assert_eq!((steps(&plan).as_str(), plan.pods[0].phase), ("start c 1/0 in t", Phase::Pending));
    let plan = plan_for(&[&pod], vec![first(false, NOW), second(vec![run("q", 1, 0, exited(0, NOW))])], |_| {});
    assert_eq!((steps(&plan).as_str(), plan.pods[0].phase), ("stop s, remove s, stop t", Phase::Succeeded));
    let failed = second(vec![run("q", 1, 0, exited(3, NOW))]);
    let plan = plan_for(&[&pod], vec![first(false, NOW), failed], |_| {});
    let status = &plan.pods[0];
    assert_eq!(
        (steps(&plan).as_str(), status.phase, status.reason),
        ("stop t", Phase::Failed, Some("BackoffLimitExceeded"))
    );
    assert_eq!(status.problem.as_deref(), Some("pod web: BackoffLimitExceeded: container c ended with status 3"));
}
