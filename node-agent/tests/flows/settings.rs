//! Settings: from a change that somebody asks for, or a file that is there, to what holds on the node.

use std::fs;

use ballast::{
    report::status::Status,
    settings::model::{Change, Command, Edit, FILE, FailureKind},
};

use super::{Running, fake::Node, start};

const HOSTNAME: &str = "/etc/hostname";
const CREDENTIAL: &str = "/var/lib/ballast/sources/credential";
const UNTIL: &str = "/run/ballast/settings-until";

fn set(key: &str, value: &str) -> Change {
    Change { edit: Edit::Set { key: key.to_owned(), value: value.to_owned() }, dry_run: false, try_secs: None }
}

fn is_ready(status: &Status) -> bool {
    status.ready
}

fn text(node: &Node, path: &str) -> String {
    fs::read_to_string(node.path(path)).unwrap_or_default()
}

fn restarts(running: &Running) -> Vec<String> {
    let calls = running.systemd.state().calls.clone();
    calls.into_iter().filter(|call| call.contains("Restart") && !call.contains("containerd")).collect()
}

/// The first lease, a later one, a name in the settings, and none again.
#[tokio::test]
async fn where_the_settings_say_no_name_the_node_has_dhcp_s() {
    const LEASE: &str = "/run/systemd/netif/leases/2";
    const NAME: &str = "/proc/sys/kernel/hostname";
    let running = start(|node, _| node.write(LEASE, "ADDRESS=10.0.2.15\nHOSTNAME=from-dhcp\n"));
    let node = &running.node;
    node.wait_until("DHCP's name", || text(node, NAME) == "from-dhcp").await;
    node.wait_for("the name in the status", |status| status.node.hostname == "from-dhcp").await;
    node.write(LEASE, "ADDRESS=10.0.2.15\nHOSTNAME=later.example\n");
    node.wait_until("the later lease's name", || text(node, NAME) == "later.example").await;

    node.change(Command::Change(set("hostname", "mine"))).await.1.unwrap();
    assert_eq!(text(node, NAME), "mine");
    node.write(LEASE, "ADDRESS=10.0.2.15\nHOSTNAME=latest.example\n");
    let unset = Change { edit: Edit::Unset { key: "hostname".to_owned() }, ..set("", "") };
    node.change(Command::Change(unset)).await.1.unwrap();
    node.wait_until("DHCP's name again", || text(node, NAME) == "latest.example").await;
}

#[tokio::test]
async fn a_change_is_planned_written_and_made_to_hold() {
    let running = start(|node, _| node.write(CREDENTIAL, "hostname = \"given\"\n"));
    let node = &running.node;
    node.wait_for("READY", is_ready).await;
    node.wait_until("the credential's name", || text(node, HOSTNAME) == "given\n").await;

    let (planned, done) = node.change(Command::Change(set("hostname", "mine"))).await;
    let (planned, done) = (planned.unwrap(), done.unwrap());
    assert!(planned.difference.contains("+hostname = \"mine\"") && planned.needs.hostname, "{planned:?}");
    assert!(done.changed && done.planned == planned, "{done:?}");
    assert_eq!((text(node, HOSTNAME), text(node, FILE)), ("mine\n".to_owned(), "hostname = \"mine\"\n".to_owned()));
    assert_eq!(text(node, "/proc/sys/kernel/hostname"), "mine");

    let (_, done) = node.change(Command::Change(set("time.servers", "[\"n.example\"]"))).await;
    assert_eq!(done.unwrap().planned.needs.restart, ["systemd-timesyncd.service"]);
    assert_eq!(restarts(&running), ["TryRestartUnit systemd-timesyncd.service replace"]);

    let shown = node.settings().await;
    assert!(shown.settings.contains("hostname = \"mine\""), "{}", shown.settings);
    let origin = shown.origins.iter().find(|origin| origin.key == "hostname").unwrap();
    assert_eq!(origin.place, format!("{FILE}:1:12"));
    let ranks: Vec<String> = shown.sources.sources.into_iter().map(|source| source.rank).collect();
    assert_eq!(ranks, ["node", "credential"]);

    let unset = Change { edit: Edit::Unset { key: "hostname".to_owned() }, ..set("", "") };
    assert!(node.change(Command::Change(unset)).await.1.unwrap().changed);
    assert_eq!(text(node, HOSTNAME), "given\n");
}

#[tokio::test]
async fn what_is_refused_or_only_looked_at_changes_nothing() {
    let running = start(|_, _| {});
    let node = &running.node;
    node.wait_for("READY", is_ready).await;
    let (planned, refused) = node.change(Command::Change(set("hostname", "no_de"))).await;
    assert_eq!((planned, refused.unwrap_err().kind), (None, FailureKind::Refused));
    let (planned, done) = node.change(Command::Change(Change { dry_run: true, ..set("hostname", "a") })).await;
    assert!(planned.unwrap().needs.hostname && done.unwrap().changed);
    assert!(!node.path(FILE).exists() && !node.path(HOSTNAME).exists());
    let same = node.change(Command::Confirm).await.1.unwrap();
    assert!(!same.changed, "{same:?}");
}

#[tokio::test]
async fn f03_what_is_wrong_is_named_and_the_rest_applies() {
    let running = start(|node, _| node.write(FILE, "hostname = \"a\"\n[log]\nlevle = \"warn\"\n"));
    let node = &running.node;
    let status = node.wait_for("the problem", |status| !status.settings.problems.is_empty()).await;
    let problem = &status.settings.problems[0];
    assert_eq!((problem.key.as_deref(), problem.place.as_str()), (Some("log.levle"), &*format!("{FILE}:3:1")));
    assert!(problem.reason.contains("did you mean level?"), "{problem:?}");
    assert!(status.reasons.iter().any(|reason| reason.contains("log.levle")), "{:?}", status.reasons);
    node.wait_until("its name", || text(node, HOSTNAME) == "a\n").await;
    // By hand, as with an editor.
    node.write(FILE, "hostname = \"b\"\n");
    node.wait_until("its other name", || text(node, HOSTNAME) == "b\n").await;
    node.wait_for("no problem", |status| status.settings.problems.is_empty()).await;
}

#[tokio::test]
async fn a_unit_that_did_not_start_again_is_started_the_next_time() {
    let running = start(|_, _| {});
    let node = &running.node;
    node.wait_for("READY", is_ready).await;
    running.systemd.state().results.push_back("timeout".to_owned());
    let (_, failed) = node.change(Command::Change(set("time.servers", "[\"n.example\"]"))).await;
    assert!(failed.unwrap_err().message.contains("systemd-timesyncd.service"));
    node.wait_until("another try", || restarts(&running) == ["TryRestartUnit systemd-timesyncd.service replace"; 2])
        .await;
}

#[tokio::test]
async fn f08_what_nobody_confirms_is_taken_back() {
    let running = start(|node, _| node.write(FILE, "hostname = \"before\"\n"));
    let node = &running.node;
    node.wait_for("READY", is_ready).await;
    let trial = |name: &str| Command::Change(Change { try_secs: Some(300), ..set("hostname", name) });
    let done = node.change(trial("tried")).await.1.unwrap();
    assert_eq!((done.trial_s, text(node, HOSTNAME).as_str()), (Some(300), "tried\n"));
    let status = node.wait_for("the trial", |status| status.settings.trial.is_some()).await;
    assert!(status.settings.trial.unwrap().left_s <= 300);
    let busy = node.change(Command::Change(set("hostname", "other"))).await.1.unwrap_err();
    assert_eq!(busy.kind, FailureKind::Busy);

    node.write(UNTIL, "1\n");
    // Whatever changes there wakes the agent.
    node.write("/var/lib/ballast/wake", "");
    node.wait_until("the name from before", || text(node, HOSTNAME) == "before\n").await;
    node.wait_for("the trial's end", |status| status.settings.trial.is_none()).await;
    assert_eq!(text(node, FILE), "hostname = \"before\"\n");

    node.change(trial("kept")).await.1.unwrap();
    assert!(node.change(Command::Confirm).await.1.unwrap().changed);
    node.wait_for("no trial", |status| status.settings.trial.is_none()).await;
    assert_eq!(text(node, HOSTNAME), "kept\n");
}

#[tokio::test]
async fn a_large_document_is_taken_and_one_that_is_too_large_is_refused() {
    let running = start(|_, _| {});
    let node = &running.node;
    node.wait_for("READY", is_ready).await;
    for (kib, is_taken) in [(250, true), (257, false)] {
        let text = format!("hostname = \"a\"\n{}", "# \"quoted\"\n".repeat(kib * 1024 / 11));
        let edit = Edit::Document { text, instead_of: None };
        let done = node.change(Command::Change(Change { edit, ..set("", "") })).await.1;
        assert_eq!(done.is_ok(), is_taken, "{done:?}");
    }
}

#[tokio::test]
async fn a_pod_of_the_settings_runs() {
    let manifest = super::manifest("inline", "localhost/c:1");
    let running = start(|node, _| {
        node.write(FILE, &format!("[[pods.manifest]]\nname = \"inline\"\ncontent = \'\'\'\n{manifest}\'\'\'\n"));
    });
    running.node.wait_for("the pod", |status| super::shown(status) == ["inline Running c running 0"]).await;
}

#[tokio::test]
async fn a_log_that_grows_large_is_begun_anew() {
    let running = start(|node, _| {
        node.write(FILE, "[runtime]\nlog_max_size = \"64KiB\"\nlog_max_files = 2\npids_limit = 100\n");
        node.write(&super::pod_file("web"), &super::manifest("web", "localhost/c:1"));
    });
    let node = &running.node;
    node.wait_for("the pod", |status| super::shown(status) == ["web Running c running 0"]).await;
    let config = running.runtime.state().containers[0].config.clone();
    let resources = config.linux.unwrap().resources.unwrap();
    assert_eq!(resources.unified.get("pids.max").map(String::as_str), Some("100"));
    let folder = node.path(&format!("/var/log/pods/default_web_{}", config.labels["io.kubernetes.pod.uid"]));
    fs::create_dir_all(folder.join("c")).unwrap();
    fs::write(folder.join("c/0.log"), vec![b'x'; 70_000]).unwrap();
    node.write("/var/lib/ballast/wake", "");
    node.wait_until("the old log", || folder.join("c/0.log.1").exists()).await;
    node.wait_until("the new log", || running.runtime.calls("ReopenContainerLog").len() == 1).await;
}
