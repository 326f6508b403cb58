//! What is done in which case.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::{render::minor, *};
use crate::kubelet::model::{Authority, FetchFailure, Files, Memory};

fn version(digest: &str, version: &str) -> Version {
    Version { digest: format!("sha256:{digest}"), version: version.to_owned() }
}

fn wanted() -> Wanted {
    Wanted {
        image: "r.example/kubelet:1".to_owned(),
        node: Some("node-1".to_owned()),
        server: "https://192.0.2.20:6443".to_owned(),
        authority: Authority::Pem("PEM".to_owned()),
        credentials: "/var/lib/ballast/clusters/prod/client.pem".to_owned(),
        labels: BTreeMap::from([("example.com/rack".to_owned(), "r7".to_owned())]),
        taints: vec!["example.com/gpu=true:NoSchedule".to_owned()],
        cluster_dns: vec!["10.96.0.10".to_owned()],
        cluster_domain: "cluster.local".to_owned(),
        node_ip: None,
        reserved: BTreeMap::new(),
        config: serde_json::Map::from_iter([("maxPods".to_owned(), json!(20))]),
        log_max_bytes: 10 << 20,
        log_max_files: 5,
        pods: BTreeMap::from([("ballast-canary.json".to_owned(), "{}".to_owned())]),
    }
}

fn unit(state: UnitState) -> Unit {
    Unit { state, main_pid: 7, restarts: 0, exit_status: 0 }
}

/// A kubelet that runs `runs` and is good.
fn healthy(runs: &Version) -> Observed {
    Observed {
        memory: Memory {
            image: Some(wanted().image),
            wanted: Some(runs.clone()),
            good: Some(runs.clone()),
            failed: Vec::new(),
        },
        unit: Some(unit(UnitState::Active)),
        health: Health { healthy_for: Some(Duration::from_secs(60)), silences: 0 },
        files: render::files(&wanted(), "node-1", runs),
        started: Some(Duration::from_secs(60)),
        has_credentials: true,
        ..Observed::default()
    }
}

fn step(observed: &Observed) -> Option<Step> {
    plan(Some(&wanted()), observed, 99).step
}

fn state(observed: &Observed) -> State {
    plan(Some(&wanted()), observed, 99).status.unwrap().state
}

#[test]
fn without_the_role_it_is_ended_and_nothing_is_told() {
    let mut observed = healthy(&version("a", "1.33.0"));
    let ended = plan(None, &observed, 0);
    assert_eq!((ended.step, ended.status), (Some(Step::Stop), None));
    observed.unit = Some(unit(UnitState::Stopped));
    assert_eq!(plan(None, &observed, 0).step, Some(Step::Clear));
    observed.unit = None;
    assert_eq!(plan(None, &observed, 0), Plan::default());
}

#[test]
fn from_nothing_to_a_kubelet_that_proved_itself() {
    let new = version("a", "1.33.0");
    let mut observed = Observed { unit: Some(unit(UnitState::Stopped)), ..Observed::default() };
    assert_eq!(step(&observed), Some(Step::Fetch { image: wanted().image }));
    assert_eq!(state(&observed), State::Fetching);
    observed.is_busy = true;
    assert_eq!(step(&observed), None);
    observed.is_busy = false;
    observed.memory.fetched(wanted().image, new.clone());
    // Not before the node has joined.
    assert_eq!((step(&observed), state(&observed)), (None, State::WaitingForCluster));
    observed.has_credentials = true;
    let Some(Step::Start { files }) = step(&observed) else { panic!("{:?}", step(&observed)) };
    observed =
        Observed { files, started: Some(Duration::from_secs(1)), unit: Some(unit(UnitState::Changing)), ..observed };
    assert_eq!((step(&observed), state(&observed)), (None, State::Starting));
    observed.unit = Some(unit(UnitState::Active));
    observed.health.healthy_for = Some(Duration::from_secs(1));
    assert_eq!((step(&observed), state(&observed)), (None, State::Trial));
    observed.health.healthy_for = Some(SETTLED);
    assert_eq!(step(&observed), Some(Step::Good(new.clone())));
    observed.memory.proved(new);
    assert_eq!((step(&observed), state(&observed)), (None, State::Healthy));
}

#[test]
fn a_new_version_that_fails_gives_way_to_the_last_good_one() {
    let (old, new) = (version("a", "1.33.0"), version("b", "1.33.1"));
    let base = || {
        let mut observed = healthy(&old);
        observed.memory.wanted = Some(new.clone());
        observed.files = render::files(&wanted(), "node-1", &new);
        observed.health = Health::default();
        observed
    };
    let reason = |observed: &Observed| match step(observed) {
        Some(Step::Fail(failed)) => {
            assert_eq!((failed.digest.as_str(), failed.at), ("sha256:b", 99));
            failed.reason
        }
        other => panic!("{other:?}"),
    };
    let mut late = base();
    late.started = Some(TRIAL + Duration::from_secs(1));
    assert_eq!(reason(&late), "it was not healthy within 180 s");
    let mut ends = base();
    ends.unit = Some(Unit { restarts: MAX_ENDS, exit_status: 255, ..unit(UnitState::Changing) });
    assert_eq!(reason(&ends), "it ended 3 times, at last with status 255");
    // Remembered, it is not started again: the old one is.
    let Some(Step::Fail(failed)) = step(&ends) else { panic!() };
    ends.memory.fail(failed);
    let plan = plan(Some(&wanted()), &ends, 99);
    let Some(Step::Start { files }) = plan.step else { panic!("{plan:?}") };
    assert!(files[ENVIRONMENT].starts_with("ARTIFACT=sha256:a\n"));
    assert!(
        plan.problems[0].contains("kubelet 1.33.1 failed on this node")
            && plan.problems[0].contains("1.33.0 runs in its place")
    );
}

#[test]
fn a_failed_version_without_another_stays_down() {
    let only = version("a", "1.33.0");
    let mut observed = healthy(&only);
    observed.memory.good = None;
    observed.memory.fail(Failed { digest: only.digest, version: only.version, reason: "r".to_owned(), at: 1 });
    // systemd would start it again for ever.
    assert_eq!((step(&observed), state(&observed)), (Some(Step::Stop), State::Failed));
    observed.unit = Some(unit(UnitState::Stopped));
    assert_eq!((step(&observed), state(&observed)), (None, State::Failed));
    // A good one that ends is started again and again: it is not what is new.
    let mut good = healthy(&version("a", "1.33.0"));
    good.unit = Some(Unit { restarts: 9, ..unit(UnitState::Stopped) });
    assert!(matches!(step(&good), Some(Step::Start { .. })));
}

#[test]
fn what_is_not_what_was_signed_is_fetched_anew_and_blamed_on_nobody() {
    let mut observed = healthy(&version("a", "1.33.0"));
    observed.unit = Some(Unit { exit_status: NOT_STARTED, main_pid: 0, ..unit(UnitState::Stopped) });
    observed.health = Health::default();
    assert_eq!(step(&observed), Some(Step::Mend));
    observed.memory.mend();
    assert_eq!(observed.memory.failed, []);
    assert_eq!(step(&observed), Some(Step::Fetch { image: wanted().image }));
    // It is there again.
    observed.memory.fetched(wanted().image, version("a", "1.33.0"));
    observed.started = None;
    assert!(matches!(step(&observed), Some(Step::Start { .. })));
}

#[test]
fn one_that_hangs_is_killed_once() {
    let mut observed = healthy(&version("a", "1.33.0"));
    for (silences, killed, expected) in [
        (0, None, None),
        (1, None, None),
        (3, None, Some(Step::Kill { pid: 7 })),
        (4, Some(7), None),
        (4, Some(6), Some(Step::Kill { pid: 7 })),
    ] {
        observed.health = Health { healthy_for: None, silences };
        observed.killed_pid = killed;
        assert_eq!(step(&observed), expected, "{silences} {killed:?}");
    }
}

#[test]
fn another_image_is_fetched_while_the_old_one_runs() {
    let mut observed = healthy(&version("a", "1.33.0"));
    observed.memory.image = Some("r.example/kubelet:0".to_owned());
    assert_eq!(step(&observed), Some(Step::Fetch { image: wanted().image }));
    assert_eq!(state(&observed), State::Healthy);
    let failure = |ago: u64, count: u32| FetchFailure {
        image: wanted().image,
        message: "no route".to_owned(),
        ago: Duration::from_secs(ago),
        count,
    };
    for (ago, count, is_due) in
        [(1, 1, false), (16, 1, true), (16, 2, false), (31, 2, true), (599, 40, false), (601, 40, true)]
    {
        observed.fetch_failure = Some(failure(ago, count));
        let plan = plan(Some(&wanted()), &observed, 99);
        assert_eq!(plan.step.is_some(), is_due, "{ago} {count}");
        assert_eq!(plan.problems, ["kubelet r.example/kubelet:1 cannot be fetched: no route"]);
    }
}

#[test]
fn another_pod_needs_no_restart_and_another_flag_does() {
    let runs = version("a", "1.33.0");
    let mut observed = healthy(&runs);
    observed.files.insert("pods/old.json".to_owned(), "{}".to_owned());
    assert!(matches!(step(&observed), Some(Step::Render { .. })));
    let mut other = wanted();
    other.node_ip = Some("192.0.2.1".to_owned());
    assert!(matches!(plan(Some(&other), &healthy(&runs), 0).step, Some(Step::Start { .. })));
}

#[test]
fn what_is_rendered_is_what_the_version_understands() {
    let read = |files: &Files, name: &str| serde_json::from_str::<Value>(&files[name]).unwrap();
    let old = render::files(&wanted(), "node-1", &version("a", "1.20.2"));
    let flags = &old[ENVIRONMENT];
    for flag in [
        "ARTIFACT=sha256:a\n",
        "--container-runtime=remote",
        "--container-runtime-endpoint=unix:///run/containerd/containerd.sock",
        "--register-with-taints=example.com/gpu=true:NoSchedule",
        "--node-labels=example.com/rack=r7",
        "--hostname-override=node-1",
    ] {
        assert!(flags.contains(flag), "{flag}: {flags}");
    }
    let config = read(&old, "config.json");
    assert_eq!((&config["maxPods"], &config["authentication"]["anonymous"]["enabled"]), (&json!(20), &json!(false)));
    assert!(config["containerRuntimeEndpoint"].is_null() && config["registerWithTaints"].is_null());
    let new = render::files(&wanted(), "node-1", &version("a", "1.33.0"));
    assert!(!new[ENVIRONMENT].contains("--container-runtime") && !new[ENVIRONMENT].contains("taints"));
    let config = read(&new, "config.json");
    assert_eq!(
        config["registerWithTaints"][0],
        json!({ "key": "example.com/gpu", "value": "true", "effect": "NoSchedule" })
    );
    assert_eq!(config["containerRuntimeEndpoint"], "unix:///run/containerd/containerd.sock");
    let kubeconfig = read(&new, "kubeconfig.json");
    assert_eq!(kubeconfig["users"][0]["user"]["client-key"], wanted().credentials);
    assert_eq!(
        (kubeconfig["clusters"][0]["cluster"]["server"].as_str(), new["ca.pem"].as_str()),
        (Some("https://192.0.2.20:6443"), "PEM")
    );
    assert_eq!(new["pods/ballast-canary.json"], "{}");
}

#[test]
fn what_is_owned_is_not_said_by_others() {
    let mut wanted = wanted();
    wanted.config =
        ballast_settings::values::KubeletConfig::OWNED.iter().map(|key| ((*key).to_owned(), json!("theirs"))).collect();
    let files = render::files(&wanted, "node-1", &version("a", "1.33.0"));
    assert!(!files["config.json"].contains("theirs"), "{}", files["config.json"]);
}

#[test]
fn minors() {
    for (version, expected) in
        [("1.33.0", Some(33)), ("v1.20.2", Some(20)), ("1.31+x", Some(31)), ("2.1", None), ("x", None)]
    {
        assert_eq!(minor(version), expected, "{version}");
    }
}
