//! Which version runs, when the cluster has a say in it.

use super::*;

/// Kubelet `old` runs and is good, `new` was fetched and is wanted.
fn between(old: &str, new: &str) -> Observed {
    let mut observed = healthy(&version("a", old));
    observed.memory.wanted = Some(version("b", new));
    observed
}

fn status(wanted: &Wanted, observed: &Observed) -> Status {
    plan(Some(wanted), true, observed, 99).status.unwrap()
}

fn runs(wanted: &Wanted, observed: &Observed) -> String {
    status(wanted, observed).runs.map_or_else(|| "none".to_owned(), |runs| runs.version)
}

#[test]
fn a_patch_starts_and_another_minor_waits_until_the_node_is_drained() {
    for (old, new, expected) in [
        ("1.32.1", "1.32.2", "1.32.2"),
        ("1.32.1", "1.33.0", "1.32.1"),
        ("1.33.0", "1.32.1", "1.33.0"),
        // Nobody knows what it is.
        ("1.32.1", "nightly", "1.32.1"),
    ] {
        assert_eq!(runs(&wanted(), &between(old, new)), expected, "{old} {new}");
    }
    let mut waiting = between("1.32.1", "1.33.0");
    assert_eq!(status(&wanted(), &waiting).waits, Some(version("b", "1.33.0")));
    assert_eq!(step(&waiting), None);
    waiting.permitted = Some("sha256:b".to_owned());
    let Some(Step::Start { files }) = step(&waiting) else { panic!("{:?}", step(&waiting)) };
    // An agent that is restarted now does not drain once more.
    (waiting.permitted, waiting.files) = (None, files);
    let on_trial = status(&wanted(), &waiting);
    assert_eq!((on_trial.runs, on_trial.waits), (Some(version("b", "1.33.0")), None));
    assert!(on_trial.is_on_trial);
    // Without a cluster nobody drains; without a good one there is nothing to leave.
    let alone = Wanted { server: None, ..wanted() };
    assert_eq!(runs(&alone, &between("1.32.1", "1.33.0")), "1.33.0");
    let mut first = between("1.32.1", "1.33.0");
    first.memory.good = None;
    assert_eq!(runs(&wanted(), &first), "1.33.0");
}

#[test]
fn a_failed_minor_is_reported_and_the_one_before_runs() {
    let mut observed = between("1.32.1", "1.33.0");
    observed.memory.fail(failed(&version("b", "1.33.0")));
    let found = status(&wanted(), &observed);
    assert_eq!((found.runs, found.waits), (Some(version("a", "1.32.1")), None));
    assert_eq!(found.stuck.unwrap().reason, "r");
}

#[test]
fn one_that_may_not_speak_to_the_api_server_is_refused_with_a_sentence() {
    let observed = between("1.33.0", "1.34.0");
    let refused = plan(Some(&wanted()), true, &observed, 99);
    let found = refused.status.unwrap();
    assert_eq!((found.runs.unwrap().version.as_str(), found.stuck.unwrap().version.as_str()), ("1.33.0", "1.34.0"));
    assert_eq!(
        refused.problems,
        [
            "kubelet 1.34.0 may not speak to the API server: it is newer than the API server (1.33.0): name one of 1.33, or upgrade the \
          control plane first; 1.33.0 runs in its place"
        ]
    );
    // There is no other.
    let mut only = observed.clone();
    only.memory.good = None;
    assert_eq!((status(&wanted(), &only).state, step(&only)), (State::Refused, Some(Step::Stop)));
    // What has proved itself runs on, and says so.
    let mut proved = healthy(&version("a", "1.34.0"));
    proved.files = render::files(&wanted(), "node-1", &version("a", "1.34.0"), None);
    let decided = plan(Some(&wanted()), true, &proved, 99);
    assert_eq!((decided.step, decided.problems.len(), decided.status.unwrap().state), (None, 1, State::Healthy));
    // Nobody knows the server's.
    let unknown = Wanted { server_version: None, ..wanted() };
    assert_eq!(status(&unknown, &observed).waits, Some(version("b", "1.34.0")));
}

#[test]
fn the_cluster_names_the_image_and_its_last_word_holds() {
    let steer = |image: Option<&str>| Wanted { steered: Some(image.map(str::to_owned)), ..wanted() };
    let mut observed = healthy(&version("a", "1.33.0"));
    let named = steer(Some("r.example/kubelet:2"));
    assert_eq!(
        plan(Some(&named), true, &observed, 99).step,
        Some(Step::Steer { image: Some("r.example/kubelet:2".to_owned()) })
    );
    observed.memory.steered = Some("r.example/kubelet:2".to_owned());
    assert_eq!(
        plan(Some(&named), true, &observed, 99).step,
        Some(Step::Fetch { image: "r.example/kubelet:2".to_owned() })
    );
    // After a boot the cluster may be away.
    assert_eq!(image(&wanted(), &observed.memory), Some("r.example/kubelet:2"));
    assert_eq!(image(&steer(None), &observed.memory), Some(IMAGE), "then the settings' again");
    // If those name none either, it is the last one that was.
    let nobody = Wanted { image: None, ..steer(None) };
    assert_eq!(image(&nobody, &observed.memory), Some(IMAGE));
    assert_eq!(image(&nobody, &Memory::default()), None);
    assert_eq!(plan(Some(&nobody), true, &Observed::default(), 99).status, None);
}

#[test]
fn without_a_cluster_nothing_is_asked_and_nothing_listens() {
    let alone = Wanted { server: None, node: Some(String::new()), ..wanted() };
    let files = render::files(&alone, "", &version("a", "1.33.0"), None);
    assert!(!files.contains_key("kubeconfig.json") && !files[ENVIRONMENT].contains("kubeconfig"));
    assert!(!files[ENVIRONMENT].contains("hostname-override"), "{}", files[ENVIRONMENT]);
    let config: Value = serde_json::from_str(&files["config.json"]).unwrap();
    assert_eq!(
        (&config["enableServer"], &config["authentication"]["webhook"]["enabled"]),
        (&json!(false), &json!(false))
    );
    let mut observed = healthy(&version("a", "1.33.0"));
    observed.has_credentials = false;
    assert!(matches!(plan(Some(&alone), true, &observed, 99).step, Some(Step::Start { .. })));
}

#[test]
fn what_the_cluster_gave_it_to_show_is_shown_unless_the_operator_has_seen_to_it() {
    let runs = version("a", "1.33.0");
    let mut observed = healthy(&runs);
    observed.serving = Some("0a".to_owned());
    let Some(Step::Start { files }) = step(&observed) else { panic!("{:?}", step(&observed)) };
    let config: Value = serde_json::from_str(&files["config.json"]).unwrap();
    assert_eq!(
        (&config["tlsCertFile"], &config["tlsPrivateKeyFile"]),
        (&json!(wanted().serving), &json!(wanted().serving))
    );
    observed.files = files;
    assert_eq!(step(&observed), None);
    // It was renewed.
    observed.serving = Some("0b".to_owned());
    assert!(matches!(step(&observed), Some(Step::Start { .. })));
    let mut theirs = wanted();
    theirs.config.insert("serverTLSBootstrap".to_owned(), json!(true));
    let files = render::files(&theirs, "node-1", &runs, Some("0a"));
    assert!(!files["config.json"].contains("tlsCertFile") && !files[ENVIRONMENT].contains("SERVING"));
}
