//! Upgrades from end to end, over a worker that does as it is asked and an ESP that is a folder.

use std::{fs, os::unix::fs::PermissionsExt};

use ballast::{
    report::status::Status,
    update::model::{Command, FailureKind, Phase, Target, Upgrade},
};

use super::{Running, fake::Node, start};

/// `inspect`, `fetch` and so on answer with the file of their name; while there is a file `hold-NAME` they wait, and a file
/// `next-NAME` is the answer after this one. What was asked is in `calls`, through which proxy in `proxy`.
const WORKER: &str = r#"#!/bin/sh
cd "$(dirname "$0")/worker" || exit 1
echo "$*" >>calls
echo "${HTTPS_PROXY-none}" >proxy
while [ -e "hold-$1" ]; do sleep 0.05; done
cat "$1"
! grep -q '"error"' "$1"
status=$?
[ -e "next-$1" ] && mv "next-$1" "$1"
exit $status
"#;

pub(super) const FOLDER: &str = "/usr/lib/ballast/worker";
pub(super) const DEPLOYMENTS: &str = "/sysroot/ostree/deploy/ballast/deploy";
pub(super) const ENTRIES: &str = "/efi/loader/entries";

pub(super) fn digest(letter: &str) -> String {
    format!("sha256:{}", letter.repeat(64))
}

/// A deployment on the disk.
fn deploy(node: &Node, commit: &str, letter: &str, version: &str) {
    fs::create_dir_all(node.path(&format!("{DEPLOYMENTS}/{commit}.0"))).unwrap();
    let origin = format!("[ballast]\ndigest={}\nversion={version}\nimage=r.example/os:stable\n", digest(letter));
    node.write(&format!("{DEPLOYMENTS}/{commit}.0.origin"), &origin);
}

/// A node that runs release a, on whose registry there is release b.
fn node() -> Running {
    start(|node, _| prepare(node))
}

pub(super) fn prepare(node: &Node) {
    let commit = "ab".repeat(32);
    deploy(node, &commit, "a", "20261121.1");
    let entry =
        format!("version 20261121.1\nlinux /ballast/k1\ninitrd /ballast/i1\noptions ballast.deployment={commit}.0 q\n");
    node.write(&format!("{ENTRIES}/ballast-1-20261121.1-abababababab.conf"), &entry);
    for kernel in ["k1", "i1", "old"] {
        node.write(&format!("/efi/ballast/{kernel}"), "kernel");
    }
    node.write("/usr/lib/ballast/ostree-worker", WORKER);
    fs::set_permissions(node.path("/usr/lib/ballast/ostree-worker"), fs::Permissions::from_mode(0o755)).unwrap();
    node.write("/var/lib/ballast/keys/test.pub", "-----BEGIN PUBLIC KEY-----\nkey\n-----END PUBLIC KEY-----\n");
    offer(node, "b", "20261122.1");
    node.write("/kernel", "new kernel");
    node.write("/initramfs", "new initramfs");
    node.write(
        &format!("{FOLDER}/fetch"),
        &format!(
            r#"{{"progress":{{"fetched_bytes":1,"total_bytes":7}}}}
{{"result":{{"digest":"{}","version":"20261122.1","commit":"c","fetched_bytes":7}}}}"#,
            digest("b")
        ),
    );
    node.write(&format!("{FOLDER}/remove"), r#"{"result":{"removed":[],"freed_bytes":0}}"#);
}

/// What the registry offers, and what deploying it gives; the deployment is there when it is asked for.
fn offer(node: &Node, letter: &str, version: &str) {
    let inspected = format!(
        r#"{{"result":{{"digest":"{}","version":"{version}","os_id":"ballast","architecture":"amd64","created":"",
"commit":"c","layers":[{{"digest":"x","size":7,"present":false}}],"installed_bytes":9,"objects":1,"boot_bytes":2}}}}"#,
        digest(letter)
    );
    node.write(&format!("{FOLDER}/inspect"), &inspected.replace('\n', ""));
    let commit = letter.repeat(64);
    let deployed = format!(
        r#"{{"result":{{"digest":"{}","deployment":"{commit}.0","version":"{version}","commit":"{commit}","composefs":"cd","kernel":"/kernel","initramfs":"/initramfs","cmdline":"quiet x=\"1 2\""}}}}"#,
        digest(letter)
    );
    node.write(&format!("{FOLDER}/deploy"), &deployed);
    deploy(node, &commit, letter, version);
}

pub(super) fn entries(node: &Node) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(node.path(ENTRIES))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub(super) fn upgrade(change: impl FnOnce(&mut Upgrade)) -> Command {
    let mut upgrade = Upgrade::default();
    change(&mut upgrade);
    Command::Upgrade(upgrade)
}

#[tokio::test]
async fn an_upgrade_ends_with_an_entry_that_boots_next() {
    let Running { node, .. } = node();
    node.wait_until("the agent", || node.path("/run/ballast/agent.sock").exists()).await;
    let outcome = node.operate(upgrade(|_| {})).await.unwrap();
    assert!(outcome.changed && !outcome.reboots, "{outcome:?}");
    assert_eq!(
        outcome.message,
        "release 20261122.1 (sha256:bbbbbbbbbbbb) is prepared (0.0 MB fetched); reboot to run it"
    );
    let files = entries(&node);
    assert_eq!(files, ["ballast-1-20261121.1-abababababab.conf", "ballast-2-20261122.1-bbbbbbbbbbbb+3.conf"]);
    let text = node.read(&format!("{ENTRIES}/{}", files[1]));
    assert!(
        text.contains(&format!("options ballast.deployment={}.0 ballast.composefs=cd quiet x=\"1 2\"", "b".repeat(64)))
    );
    let kernel = text.lines().find_map(|line| line.strip_prefix("linux ")).unwrap();
    assert_eq!(node.read(&format!("/efi{kernel}")), "new kernel");
    assert!(!node.path("/efi/ballast/old").exists(), "a kernel that no entry names is still there");
    let calls = node.read(&format!("{FOLDER}/calls"));
    let commands: Vec<&str> = calls.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(commands, ["inspect", "fetch", "deploy", "remove"]);
    assert!(calls.contains(&format!("fetch r.example/os:stable@{} --policy", digest("b"))), "{calls}");

    // As a crash between the entry and the end would leave it.
    node.write("/efi/ballast/left", "kernel");
    let outcome = node.operate(upgrade(|_| {})).await.unwrap();
    assert!(!outcome.changed && outcome.message.contains("is prepared already"), "{outcome:?}");
    assert_eq!(entries(&node), files);
    assert!(!node.path("/efi/ballast/left").exists(), "what a crash left is still there");
}

#[tokio::test]
async fn a_release_that_cannot_be_had_changes_nothing() {
    let Running { node, .. } = node();
    node.wait_until("the agent", || node.path("/run/ballast/agent.sock").exists()).await;
    let before = entries(&node);
    node.write(&format!("{FOLDER}/inspect"), r#"{"error":{"kind":"refused","message":"no signature fits"}}"#);
    let failure = node.operate(upgrade(|_| {})).await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.message.as_str()),
        (FailureKind::Refused, "resolving r.example/os:stable: no signature fits")
    );
    node.write(&format!("{FOLDER}/inspect"), "not json");
    assert_eq!(node.operate(upgrade(|_| {})).await.unwrap_err().kind, FailureKind::Failed);
    offer(&node, "c", "20261120.1");
    assert_eq!(node.operate(upgrade(|_| {})).await.unwrap_err().kind, FailureKind::Refused);
    fs::remove_file(node.path("/var/lib/ballast/keys/test.pub")).unwrap();
    let failure = node.operate(upgrade(|upgrade| upgrade.allow_downgrade = true)).await.unwrap_err();
    assert!(failure.kind == FailureKind::Refused && failure.message.contains("there is no key"), "{failure}");
    assert_eq!(entries(&node), before);
}

/// What a release that ran here has reached and revoked outlives it.
#[tokio::test]
async fn the_floor_and_what_was_revoked_are_remembered() {
    const REVOKED: &str = "/usr/lib/ballast/revoked";
    let Running { node, .. } = start(|node, _| {
        prepare(node);
        node.write(REVOKED, &format!("key {}\nrelease {} # stolen\nnonsense\n", digest("e"), digest("c")));
        node.write(
            "/var/lib/ballast/settings.toml",
            "[update]\nkeys_threshold = 2\nidentity = \"tag\"\nsignature_max_days = 8\n",
        );
    });
    let memory = || fs::read_to_string(node.path("/var/lib/ballast/update.json")).unwrap_or_default();
    node.wait_until("what was reached is remembered", || memory().contains("\"floor\": \"20261121.1\"")).await;
    assert!(memory().contains(&digest("c")) && memory().contains(&digest("e")), "{}", memory());
    let reported = |status: &Status, text: &str| status.reasons.iter().any(|reason| reason.contains(text));
    node.wait_for("the line that is none is reported", |status| {
        reported(status, "/usr/lib/ballast/revoked:3: expected key")
    })
    .await;

    // The next release says nothing of it any more.
    fs::remove_file(node.path(REVOKED)).unwrap();
    offer(&node, "c", "20261123.1");
    let failure = node.operate(upgrade(|upgrade| upgrade.allow_downgrade = true)).await.unwrap_err();
    assert_eq!(
        (failure.kind, failure.message.as_str()),
        (
            FailureKind::Refused,
            "release 20261123.1 (sha256:cccccccccccc) was revoked by a release that ran here; upgrade to a newer one"
        )
    );
    let policy = node.read("/run/ballast/policy.json");
    for part in [
        &*format!("\"revokedKeys\":[\"{}\"]", digest("e")),
        "\"threshold\":2",
        "\"maxAgeDays\":8",
        "matchRepoDigestOrExact",
    ] {
        assert!(policy.contains(part), "{part}: {policy}");
    }

    // An older one that is asked for lowers the floor, once it is prepared.
    offer(&node, "d", "20261120.1");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let inspect = format!("{FOLDER}/inspect");
    let soon = node.read(&inspect).replace("\"os_id\"", &format!("\"signed_until\":{},\"os_id\"", now + 86400 + 3600));
    node.write(&inspect, &soon);
    let settings = node.read("/var/lib/ballast/settings.toml");
    let check = || node.operate(upgrade(|upgrade| upgrade.check = true));
    let failure = check().await.unwrap_err();
    assert!(failure.message.contains("release 20261120.1 is older than 20261121.1, which runs"), "{failure}");
    // By hand: nobody would ask again.
    assert!(!memory().contains("signed_until"), "{}", memory());
    let auto = format!("{settings}auto = true\nwindow = [\"Sun 03:00-03:01 UTC\"]\n");
    node.write("/var/lib/ballast/settings.toml", &auto);
    let runs_out = "the signature of release 20261120.1, which the registry offered last, runs out in 1 day";
    for _ in 0..100 {
        check().await.unwrap_err();
        if memory().contains("signed_until") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    node.wait_for("that signatures run out is reported", |status| reported(status, runs_out)).await;
    node.write("/var/lib/ballast/settings.toml", &settings);
    node.wait_for("what was offered is forgotten", |status| !reported(status, runs_out)).await;
    assert!(!memory().contains("signed_until"), "{}", memory());
    node.operate(upgrade(|upgrade| upgrade.allow_downgrade = true)).await.unwrap();
    assert!(memory().contains("\"floor\": \"20261120.1\""), "{}", memory());
}

#[tokio::test]
async fn fetch_only_and_check_prepare_nothing() {
    let Running { node, .. } = node();
    node.wait_until("the agent", || node.path("/run/ballast/agent.sock").exists()).await;
    let before = entries(&node);
    let outcome = node.operate(upgrade(|upgrade| upgrade.check = true)).await.unwrap();
    assert!(outcome.changed && outcome.fetch_bytes == Some(7), "{outcome:?}");
    node.operate(upgrade(|upgrade| upgrade.fetch_only = true)).await.unwrap();
    assert_eq!(entries(&node), before);
    assert!(node.read("/var/lib/ballast/update.json").contains(&digest("b")));
}

#[tokio::test]
async fn one_operation_at_a_time_and_a_restart_takes_it_up_again() {
    let Running { mut node, .. } = node();
    node.wait_until("the agent", || node.path("/run/ballast/agent.sock").exists()).await;
    node.write(&format!("{FOLDER}/hold-fetch"), "");
    let socket = node.path("/run/ballast/agent.sock");
    let waiting = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::UnixStream::connect(socket).await.unwrap();
        let line = "{\"command\":\"run\",\"operation\":{\"upgrade\":{}}}\n";
        stream.write_all(line.as_bytes()).await.unwrap();
        // Until the agent goes away.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    let called = |node: &Node| fs::read_to_string(node.path(&format!("{FOLDER}/calls"))).unwrap_or_default();
    node.wait_until("the fetch", || called(&node).contains("fetch ")).await;
    let failure = node.operate(Command::Collect).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Busy);
    assert_eq!(failure.message, "another operation is running: upgrade (fetch); see ballast releases");
    let operation = node.releases().await.unwrap().operation.unwrap();
    assert_eq!((operation.command.as_str(), operation.progress.phase), ("upgrade", Phase::Fetch));

    node.kill_agent().await;
    waiting.abort();
    node.remove(&format!("{FOLDER}/hold-fetch"));
    // The network of the host of these tests is not looked at any more.
    node.write("/proc/uptime", "300.00 0.20\n");
    node.start_agent();
    node.wait_until("the upgrade goes on", || entries(&node).len() == 2).await;
    node.wait_until("it is not wanted any more", || !node.read("/var/lib/ballast/update.json").contains("\"upgrade\""))
        .await;
}

#[tokio::test]
async fn who_asks_and_goes_away_cancels() {
    let Running { node, .. } = node();
    node.wait_until("the agent", || node.path("/run/ballast/agent.sock").exists()).await;
    node.write(&format!("{FOLDER}/hold-fetch"), "");
    let asked = tokio::time::timeout(std::time::Duration::from_secs(2), node.operate(upgrade(|_| {}))).await;
    assert!(asked.is_err(), "it ended although the worker holds");
    let called = fs::read_to_string(node.path(&format!("{FOLDER}/calls"))).unwrap();
    assert!(called.contains("fetch "), "{called}");
    node.remove(&format!("{FOLDER}/hold-fetch"));
    let outcome = node.operate(Command::Pin(Target { release: "20261121.1".to_owned() })).await.unwrap();
    assert!(outcome.changed, "{outcome:?}");
    assert_eq!(entries(&node).len(), 1);
    assert!(!node.read("/var/lib/ballast/update.json").contains("\"upgrade\""));
}

#[tokio::test]
async fn a_rollback_is_one_new_entry_and_once_more_is_back() {
    let Running { node, .. } = node();
    node.wait_until("the agent", || node.path("/run/ballast/agent.sock").exists()).await;
    let failure = node.operate(Command::Rollback { reboot: false }).await.unwrap_err();
    assert!(failure.message.contains("no earlier release"), "{failure}");
    let commit = "b".repeat(64);
    let entry =
        format!("version 20261120.1\nlinux /ballast/k1\ninitrd /ballast/i1\noptions ballast.deployment={commit}.0 q\n");
    node.write(&format!("{ENTRIES}/ballast-0-20261120.1-bbbbbbbbbbbb.conf"), &entry);
    let next = |node: &Node| entries(node).pop().unwrap();
    let outcome = node.operate(Command::Rollback { reboot: false }).await.unwrap();
    assert_eq!(outcome.message, "release 20261120.1 boots next; reboot to run it");
    assert_eq!(next(&node), "ballast-2-20261120.1-bbbbbbbbbbbb.conf");
    node.operate(Command::Rollback { reboot: false }).await.unwrap();
    assert_eq!(next(&node), "ballast-3-20261121.1-abababababab.conf");
    assert_eq!(entries(&node).len(), 2, "superseded entries stay: {:?}", entries(&node));
}

const SETTINGS: &str = "/var/lib/ballast/settings.toml";

#[tokio::test]
async fn kernel_arguments_of_the_settings_are_in_an_entry_on_trial() {
    let Running { node, .. } = start(|node, _| {
        prepare(node);
        node.write(SETTINGS, "kernel.arguments = [\"nosmt\", \"hugepages=2\"]\n");
    });
    let file = "ballast-2-20261121.1-abababababab+3.conf";
    node.wait_until("the entry", || entries(&node).iter().any(|entry| entry == file)).await;
    assert!(node.read(&format!("{ENTRIES}/{file}")).contains(".0 q ballast.settings nosmt hugepages=2\n"));
    let reported = "kernel.arguments of the settings hold from the next boot on";
    node.wait_for("the sentence", |status| status.reasons.iter().any(|reason| reason == reported)).await;

    // They did not boot: the entry before runs, and they are not tried again.
    let failed = file.replace("+3", "+0-3");
    fs::rename(node.path(&format!("{ENTRIES}/{file}")), node.path(&format!("{ENTRIES}/{failed}"))).unwrap();
    let reported = "the kernel did not come up healthy";
    node.wait_for("the sentence", |status| status.reasons.iter().any(|reason| reason.starts_with(reported))).await;
    while let Err(failure) = node.operate(Command::Collect).await {
        // The entry was there before the operation that wrote it ended.
        assert_eq!(failure.kind, FailureKind::Busy, "{failure}");
    }
    assert_eq!(entries(&node).len(), 2);
    assert_eq!(node.releases().await.unwrap().failed, []);

    // What is not wanted any more needs no other entry.
    node.write(SETTINGS, "");
    node.wait_for("nothing to report", |status| !status.reasons.iter().any(|reason| reason.contains("kernel"))).await;
    assert_eq!(entries(&node).len(), 2);
}

#[tokio::test]
async fn n11_the_registry_is_asked_through_the_proxy_of_the_settings() {
    let Running { node, .. } = start(|node, _| {
        prepare(node);
        node.write(SETTINGS, "network.proxy.https = \"http://me:pw@proxy.example:3128\"\n");
    });
    node.wait_for("READY", |status| status.ready).await;
    node.operate(upgrade(|upgrade| upgrade.check = true)).await.unwrap();
    assert_eq!(node.read(&format!("{FOLDER}/proxy")).trim(), "http://me:pw@proxy.example:3128");
    let rendered = node.read("/etc/ballast/proxy.env");
    assert!(rendered.contains("HTTPS_PROXY=\"http://me:pw@proxy.example:3128\""), "{rendered}");
}
