//! Damage under /var/lib/ballast: whatever lies in the place of a file of ours, the node is READY, says what is wrong, keeps the damaged file
//! and upgrades.

use std::{fs, os::unix::fs::PermissionsExt};

use ballast::update::model::Command;

use super::{
    Running, manifest, start,
    upgrades::{FOLDER, digest, entries, prepare, upgrade},
};

const STATE: &str = "/var/lib/ballast";

/// All that the agent reads there, but for what a cluster gave, which the crate `ballast-cluster` reads; and whether it is the agent's own, so
/// that it is set aside. The rest is the operator's, and stays where it is.
const FILES: [(&str, bool); 10] = [
    ("update.json", true),
    ("sources.json", true),
    ("settings.trial.json", true),
    ("settings.toml", false),
    ("settings.before.toml", false),
    ("sources/credential", false),
    ("sources/metadata.hostname", false),
    ("sources/volume.meta-data", false),
    ("pods/web.yaml", false),
    ("keys/other.pub", false),
];

/// What a crash, a worn disk or a hand may leave there; None is a folder.
const DAMAGE: [(&str, Option<&[u8]>); 5] = [
    ("empty", Some(b"")),
    ("truncated", Some(b"{\"pinned\":[\"sha2")),
    ("NULs", Some(&[0; 4096])),
    ("garbled", Some(b"\xff\xfe\x80 [\x01")),
    ("a folder", None),
];

fn damaged(files: &[&str], content: Option<&[u8]>) -> Running {
    start(|node, _| {
        prepare(node);
        node.write("/proc/uptime", "300.00 0.20\n");
        node.write(&format!("{STATE}/pods/good.yaml"), &manifest("good", "localhost/c:1"));
        for file in files {
            let path = format!("{STATE}/{file}");
            match content {
                Some(bytes) => node.write_bytes(&path, bytes),
                None => fs::create_dir_all(node.path(&path)).unwrap(),
            }
        }
    })
}

/// It is READY, runs its pods, and takes another release.
async fn works(running: &Running, what: &str) -> Vec<String> {
    let node = &running.node;
    let is_up = |status: &ballast::report::status::Status| status.ready && super::shown(status).len() == 1;
    let status = node.wait_for(&format!("READY and the pod: {what}"), is_up).await;
    assert_eq!(super::shown(&status)[0].split(' ').next(), Some("good"), "{what}");
    let outcome = node.operate(upgrade(|_| {})).await.unwrap_or_else(|failure| panic!("{what}: {failure}"));
    assert!(outcome.changed && entries(node).len() == 2, "{what}: {outcome:?}");
    node.operate(Command::Collect).await.unwrap_or_else(|failure| panic!("{what}: {failure}"));
    node.status().await.unwrap().reasons
}

#[tokio::test]
async fn a_damaged_file_stops_neither_the_node_nor_its_upgrades() {
    for (how, content) in DAMAGE {
        let files: Vec<&str> = FILES.iter().map(|(file, _)| *file).collect();
        let running = damaged(&files, content);
        let reasons = works(&running, how).await;
        for (file, is_ours) in FILES {
            let kept = running.node.path(&format!("{STATE}/{file}.damaged-1"));
            if is_ours {
                assert!(
                    reasons.iter().any(|reason| reason.starts_with(&format!("{STATE}/{file} was damaged"))),
                    "{how} {file}: {reasons:#?}"
                );
                match content {
                    Some(bytes) => assert_eq!(fs::read(kept).unwrap(), bytes, "{how} {file}"),
                    None => assert!(kept.is_dir(), "{how} {file}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn each_damaged_file_by_itself_is_survived() {
    for (file, _) in FILES {
        let running = damaged(&[file], Some(b"\0\0\0{"));
        works(&running, file).await;
    }
}

#[tokio::test]
async fn what_can_be_read_of_a_damaged_memory_is_kept_and_the_rest_is_reported() {
    let pinned = digest("a");
    let running = damaged(&[], None);
    let node = &running.node;
    node.wait_for("READY", |status| status.ready).await;
    // As a newer agent may leave it.
    node.write(&format!("{STATE}/update.json"), &format!(r#"{{"pinned":["{pinned}"],"wanted":{{"later":{{}}}}}}"#));
    let reported = "/var/lib/ballast/update.json was damaged (";
    let status = node.wait_for("the reason", |status| status.reasons.iter().any(|one| one.starts_with(reported))).await;
    let reason = status.reasons.iter().find(|one| one.starts_with(reported)).unwrap();
    assert!(reason.contains("kept as update.json.damaged-1: 1 pins and 0 failed releases could be read"), "{reason}");
    assert!(node.read(&format!("{STATE}/update.json")).contains(&pinned));
    let releases = node.releases().await.unwrap();
    assert!(releases.releases.iter().any(|one| one.pinned), "{releases:?}");
}

#[tokio::test]
async fn no_window_is_open_before_the_clock_is_set() {
    let Running { node, .. } = start(|node, _| {
        prepare(node);
        // A machine without a clock of its own, which nobody has set: what it shows is in the window.
        node.write("/proc/stat", "cpu 400 0 16 10 5 0 0\ncpu0 400 0 16 10 5 0 0\nbtime 1800000000\n");
        node.write("/var/lib/ballast/settings.toml", "[update]\nauto = true\nwindow = [\"daily 00:00-24:00 UTC\"]\n");
        node.write("/usr/bin/systemctl", "#!/bin/sh\necho \"$*\" >>\"$0.calls\"\n");
        fs::set_permissions(node.path("/usr/bin/systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
    });
    node.wait_for("READY", |status| status.ready).await;
    node.operate(upgrade(|_| {})).await.unwrap();
    let reboots = || node.path("/usr/bin/systemctl.calls").exists();
    // Several passes long.
    for number in 0..20 {
        node.write("/var/lib/ballast/pods/.wakes-the-agent", &number.to_string());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        assert!(!reboots(), "it rebooted by a clock that nobody has set");
    }
    assert!(node.read(&format!("{FOLDER}/calls")).contains("fetch "));
    node.write("/run/systemd/timesync/synchronized", "");
    node.write("/var/lib/ballast/pods/.wakes-the-agent", "");
    node.wait_until("the reboot", reboots).await;
}
