//! What is done in which case.

mod versions;

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::{render::minor, *};
use crate::kubelet::model::{Authority, FetchFailure, Files, Memory};

const IMAGE: &str = "r.example/kubelet:1";

fn version(digest: &str, version: &str) -> Version {
    Version { digest: format!("sha256:{digest}"), version: version.to_owned() }
}

fn wanted() -> Wanted {
    Wanted {
        image: Some(IMAGE.to_owned()),
        steered: None,
        node: Some("node-1".to_owned()),
        server: Some("https://192.0.2.20:6443".to_owned()),
        server_version: Some("v1.33.0".to_owned()),
        authority: Authority::Pem("PEM".to_owned()),
        credentials: "/var/lib/ballast/clusters/prod/client.pem".to_owned(),
        serving: "/var/lib/ballast/clusters/prod/serving.pem".to_owned(),
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

fn failed(version: &Version) -> Failed {
    let Version { digest, version: number } = version.clone();
    let configuration = render::fingerprint(&wanted(), version);
    Failed { digest, version: number, reason: "r".to_owned(), at: 1, configuration }
}

/// A kubelet that runs `runs` and is good.
fn healthy(runs: &Version) -> Observed {
    Observed {
        memory: Memory {
            image: Some(IMAGE.to_owned()),
            wanted: Some(runs.clone()),
            good: Some(runs.clone()),
            ..Memory::default()
        },
        unit: Some(unit(UnitState::Active)),
        health: Health { healthy_for: Some(Duration::from_secs(60)), silences: 0 },
        files: render::files(&wanted(), "node-1", runs, None),
        started: Some(Duration::from_secs(60)),
        has_credentials: true,
        ..Observed::default()
    }
}

fn step(observed: &Observed) -> Option<Step> {
    plan(Some(&wanted()), true, observed, 99).step
}

fn state(observed: &Observed) -> State {
    plan(Some(&wanted()), true, observed, 99).status.unwrap().state
}

#[test]
fn without_the_role_it_is_ended_and_nothing_is_reported() {
    let mut observed = healthy(&version("a", "1.33.0"));
    let ended = plan(None, false, &observed, 0);
    assert_eq!((ended.step, ended.status), (Some(Step::Stop), None));
    observed.unit = Some(unit(UnitState::Stopped));
    // What is rendered stays until its pods have ended: the node's own wait for that.
    assert_eq!(plan(None, false, &observed, 0).step, None);
    observed.sandboxes = Some(vec!["s1".to_owned()]);
    assert_eq!(plan(None, false, &observed, 0).step, Some(Step::EndPods));
    observed.is_busy = true;
    assert_eq!(plan(None, false, &observed, 0).step, None);
    (observed.is_busy, observed.sandboxes) = (false, Some(Vec::new()));
    assert_eq!(plan(None, false, &observed, 0).step, Some(Step::Clear));
    observed.unit = None;
    assert_eq!(plan(None, false, &observed, 0), Plan::default());
}

#[test]
fn with_the_role_a_mistake_ends_no_pods() {
    let mut observed = healthy(&version("a", "1.33.0"));
    // As after a damaged memory, before the cluster was asked for the image.
    observed.memory = Memory::default();
    let unknown = Wanted { image: None, ..wanted() };
    for state in [UnitState::Active, UnitState::Stopped] {
        observed.unit = Some(unit(state));
        observed.sandboxes = Some(vec!["s1".to_owned()]);
        for wanted in [None, Some(&unknown)] {
            assert_eq!(plan(wanted, true, &observed, 0), Plan::default(), "{state:?}");
            assert!(plan(wanted, false, &observed, 0).step.is_some());
        }
    }
}

#[test]
fn from_nothing_to_a_kubelet_that_proved_itself() {
    let new = version("a", "1.33.0");
    let mut observed = Observed { unit: Some(unit(UnitState::Stopped)), ..Observed::default() };
    assert_eq!(step(&observed), Some(Step::Fetch { image: IMAGE.to_owned() }));
    assert_eq!(state(&observed), State::Fetching);
    observed.is_busy = true;
    assert_eq!(step(&observed), None);
    observed.is_busy = false;
    observed.memory.fetched(IMAGE.to_owned(), new.clone());
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
        observed.files = render::files(&wanted(), "node-1", &new, None);
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
    let plan = plan(Some(&wanted()), true, &ends, 99);
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
    observed.memory.fail(failed(&only));
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
    let mend = || Some(Step::Mend { digest: "sha256:a".to_owned() });
    assert_eq!(step(&observed), mend());
    // A disk that damages it again and again is not fed for ever in one go.
    for (ago, count, expected) in [(1, 1, None), (16, 1, mend()), (100, 4, None), (601, 40, mend())] {
        observed.mended = Some((Duration::from_secs(ago), count));
        assert_eq!(step(&observed), expected, "{ago} {count}");
    }
    observed.memory.sources.insert("sha256:a".to_owned(), "r.example/kubelet@sha256:a".to_owned());
    observed.memory.mend("sha256:a".to_owned());
    assert_eq!(observed.memory.failed, []);
    // Exactly that one, wherever its tag leads by now.
    assert_eq!(step(&observed), Some(Step::Fetch { image: "r.example/kubelet@sha256:a".to_owned() }));
    // It is there again.
    observed.memory.fetched("r.example/kubelet@sha256:a".to_owned(), version("a", "1.33.0"));
    observed.started = None;
    assert!(matches!(step(&observed), Some(Step::Start { .. })));
}

#[test]
fn a_last_good_one_that_was_damaged_is_fetched_anew_too() {
    let (old, new) = (version("a", "1.33.0"), version("b", "1.33.1"));
    let mut observed = healthy(&old);
    observed.memory.fetched("r.example/kubelet:0".to_owned(), old.clone());
    observed.memory.fetched(IMAGE.to_owned(), new.clone());
    observed.memory.fail(failed(&new));
    observed.unit = Some(Unit { exit_status: NOT_STARTED, main_pid: 0, ..unit(UnitState::Stopped) });
    observed.health = Health::default();
    assert_eq!(step(&observed), Some(Step::Mend { digest: "sha256:a".to_owned() }));
    observed.memory.mend("sha256:a".to_owned());
    assert_eq!(step(&observed), Some(Step::Fetch { image: "r.example/kubelet@sha256:a".to_owned() }));
}

#[test]
fn what_failed_with_another_configuration_is_tried_again() {
    let (old, new) = (version("a", "1.33.0"), version("b", "1.33.1"));
    let mut observed = healthy(&old);
    observed.memory.wanted = Some(new.clone());
    observed.memory.fail(failed(&new));
    assert_eq!(plan(Some(&wanted()), true, &observed, 99).status.unwrap().runs, Some(old.clone()));
    let mut corrected = wanted();
    corrected.config.insert("maxPods".to_owned(), json!(21));
    let runs = |wanted: &Wanted, observed: &Observed| plan(Some(wanted), true, observed, 99).status.unwrap().runs;
    assert_eq!(runs(&corrected, &observed), Some(new.clone()));
    // A pod is none of its configuration.
    let mut another_pod = wanted();
    another_pod.pods.clear();
    assert_eq!(runs(&another_pod, &observed), Some(old.clone()));
    // One that was remembered without it failed with any.
    observed.memory.failed[0].configuration.clear();
    assert_eq!(runs(&corrected, &observed), Some(old));
}

#[test]
fn a_good_one_that_does_not_run_with_these_settings_says_so() {
    let mut observed = healthy(&version("a", "1.33.0"));
    observed.health = Health::default();
    observed.unit = Some(Unit { restarts: 4, exit_status: 1, ..unit(UnitState::Changing) });
    let plan = plan(Some(&wanted()), true, &observed, 99);
    assert!(plan.problems[0].starts_with("kubelet 1.33.0 ended 4 times, at last with status 1"), "{plan:?}");
}

#[test]
fn what_stays_is_what_is_wanted_good_or_runs() {
    let mut memory = Memory { wanted: Some(version("a", "1")), good: Some(version("b", "1")), ..Memory::default() };
    assert_eq!(kept(&memory, Some("sha256:c")), ["sha256:a", "sha256:b", "sha256:c"]);
    memory.good = memory.wanted.clone();
    assert_eq!(kept(&memory, Some("sha256:a")), ["sha256:a"]);
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
    assert_eq!(step(&observed), Some(Step::Fetch { image: IMAGE.to_owned() }));
    assert_eq!(state(&observed), State::Healthy);
    let failure = |ago: u64, count: u32| FetchFailure {
        image: IMAGE.to_owned(),
        message: "no route".to_owned(),
        ago: Duration::from_secs(ago),
        count,
    };
    for (ago, count, is_due) in
        [(1, 1, false), (16, 1, true), (16, 2, false), (31, 2, true), (599, 40, false), (601, 40, true)]
    {
        observed.fetch_failure = Some(failure(ago, count));
        let plan = plan(Some(&wanted()), true, &observed, 99);
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
    assert!(matches!(plan(Some(&other), true, &healthy(&runs), 0).step, Some(Step::Start { .. })));
}

#[test]
fn what_is_rendered_is_what_the_version_understands() {
    let read = |files: &Files, name: &str| serde_json::from_str::<Value>(&files[name]).unwrap();
    let old = render::files(&wanted(), "node-1", &version("a", "1.20.2"), None);
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
    let new = render::files(&wanted(), "node-1", &version("a", "1.33.0"), None);
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
    let files = render::files(&wanted, "node-1", &version("a", "1.33.0"), None);
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
