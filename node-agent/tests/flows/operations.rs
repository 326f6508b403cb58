//! Operations that come at a bad time, are cut short or find damage: from end to end, as [`super::upgrades`].

use std::{fs, os::unix::fs::PermissionsExt};

use ballast::update::model::{Command, FailureKind, Target};

use super::{
    Running, start,
    upgrades::{DEPLOYMENTS, ENTRIES, FOLDER, digest, entries, prepare, upgrade},
};

#[tokio::test]
async fn what_was_cut_short_is_still_wanted_after_another_operation() {
    let Running { node, .. } = start(|node, _| {
        prepare(node);
        // The network of the host of these tests is not looked at any more.
        node.write("/proc/uptime", "300.00 0.20\n");
        node.write(&format!("{FOLDER}/fsck"), r#"{"result":{"objects":9,"damaged":[],"repaired":0}}"#);
        node.write(&format!("{FOLDER}/hold-fsck"), "");
    });
    node.wait_until("the agent", || node.path("/run/ballast/agent.sock").exists()).await;
    let meanwhile = async {
        let calls = node.path(&format!("{FOLDER}/calls"));
        node.wait_until("the check", || fs::read_to_string(&calls).is_ok_and(|calls| calls.contains("fsck"))).await;
        // As if the network had kept it waiting until now.
        node.write("/var/lib/ballast/update.json", r#"{"wanted":{"upgrade":{}}}"#);
        node.remove(&format!("{FOLDER}/hold-fsck"));
    };
    let (checked, ()) = tokio::join!(node.operate(Command::Fsck { repair: false }), meanwhile);
    checked.unwrap();
    node.wait_until("the upgrade goes on", || entries(&node).len() == 2).await;
    node.wait_until("it is not wanted any more", || !node.read("/var/lib/ballast/update.json").contains("\"upgrade\""))
        .await;
    node.operate(Command::Pin(Target { release: "20261121.1".to_owned() })).await.unwrap();
    let calls = node.read(&format!("{FOLDER}/calls"));
    assert_eq!(calls.lines().filter(|call| call.starts_with("inspect")).count(), 1, "it was begun twice");
}

#[tokio::test]
async fn what_is_asked_for_early_waits_until_a_bad_release_is_written_down() {
    let failed = format!("{ENTRIES}/ballast-2-20261122.1-bbbbbbbbbbbb+0-3.conf");
    let Running { node, runtime, .. } = start(|node, runtime| {
        prepare(node);
        let commit = "b".repeat(64);
        node.write(&failed, &format!("version 20261122.1\noptions ballast.deployment={commit}.0\n"));
        runtime.state().is_ready = false;
    });
    node.wait_until("the agent", || node.path("/run/ballast/agent.sock").exists()).await;
    let later = async {
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        assert!(node.path(&failed).exists(), "it was begun before the releases were looked at");
        runtime.state().is_ready = true;
    };
    let (collected, ()) = tokio::join!(node.operate(Command::Collect), later);
    assert!(collected.unwrap().changed && !node.path(&failed).exists());
    let failed = node.releases().await.unwrap().failed;
    assert_eq!(failed.iter().map(|failed| failed.version.as_str()).collect::<Vec<_>>(), ["20261122.1"]);
}

#[tokio::test]
async fn nothing_is_removed_while_the_boot_entries_cannot_be_seen() {
    use std::os::unix::fs::MetadataExt;
    let Running { node, .. } = start(|node, _| {
        prepare(node);
        fs::remove_dir_all(node.path("/efi")).unwrap();
        let device = fs::metadata(node.path("/sysroot")).unwrap().dev();
        for (number, label) in [(1, "ballast-esp"), (2, "ballast-root")] {
            let partition = format!("/sys/devices/none/none{number}");
            node.write(&format!("{partition}/partition"), "");
            node.write(&format!("{partition}/uevent"), &format!("PARTNAME={label}\n"));
            node.write(&format!("{partition}/start"), "0\n");
            node.write(&format!("{partition}/size"), "8\n");
        }
        node.write("/sys/devices/none/size", "16\n");
        node.write("/sys/devices/none/queue/logical_block_size", "512\n");
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        fs::create_dir_all(node.path("/sys/dev/block")).unwrap();
        let link = node.path(&format!("/sys/dev/block/{major}:{minor}"));
        std::os::unix::fs::symlink(node.path("/sys/devices/none/none2"), link).unwrap();
    });
    node.wait_until("the agent", || node.path("/run/ballast/agent.sock").exists()).await;
    for command in [Command::Collect, Command::Rollback { reboot: false }, upgrade(|_| {})] {
        let failure = node.operate(command).await.unwrap_err();
        assert!(failure.message.starts_with("the EFI system partition /dev/none1 is not mounted"), "{failure}");
    }
    assert!(!node.path(&format!("{FOLDER}/calls")).exists(), "the worker was called");
    node.operate(Command::Pin(Target { release: "20261121.1".to_owned() })).await.unwrap();
}

#[tokio::test]
async fn what_is_damaged_is_fetched_from_the_image_of_each_release() {
    let Running { node, .. } = start(|node, _| {
        prepare(node);
        let commit = "ab".repeat(32);
        let origin =
            format!("[ballast]\ndigest={}\nversion=20261121.1\nimage=oci.example.com/os:stable\n", digest("a"));
        node.write(&format!("{DEPLOYMENTS}/{commit}.0.origin"), &origin);
        // What is on the disk was signed before all this was asked for.
        node.write("/usr/lib/ballast/revoked", &format!("key {}\n", digest("e")));
        node.write("/var/lib/ballast/settings.toml", "[update]\nkeys_threshold = 2\nsignature_max_days = 8\n");
    });
    node.wait_until("the agent", || node.path("/run/ballast/agent.sock").exists()).await;
    let answers = |first: &str, then: &str| {
        node.write(&format!("{FOLDER}/fsck"), first);
        node.write(&format!("{FOLDER}/next-fsck"), then);
    };
    let left = r#"{"result":{"objects":9,"damaged":["x.file: is missing"],"repaired":2}}"#;
    answers(left, r#"{"result":{"objects":9,"damaged":[],"repaired":1}}"#);
    let outcome = node.operate(Command::Fsck { repair: true }).await.unwrap();
    assert_eq!(
        (outcome.changed, outcome.message.as_str()),
        (true, "9 objects checked; 3 were damaged and are repaired")
    );
    let calls = node.read(&format!("{FOLDER}/calls"));
    let asked: Vec<&str> = calls.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    assert_eq!(asked, [format!("oci.example.com/os@{}", digest("a")), format!("r.example/os@{}", digest("b"))]);

    let policy = node.read("/run/ballast/policy.json");
    assert!(policy.contains("\"threshold\":1") && policy.contains("\"revokedKeys\":[]"), "{policy}");
    assert!(!policy.contains("maxAgeDays"), "{policy}");

    // Some of it remains, because the other release cannot be had any more.
    answers(left, r#"{"error":{"kind":"not-found","message":"no such manifest"}}"#);
    let failure = node.operate(Command::Fsck { repair: true }).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Damaged);
    let reported = "9 objects checked; 1 are damaged, 2 repaired; fetching release 20261122.1 anew: no such manifest; ballast collect";
    assert!(failure.message.starts_with(reported) && failure.message.ends_with(": x.file: is missing"), "{failure}");
}

#[tokio::test]
async fn who_goes_away_after_the_boot_entry_cancels_nothing() {
    let Running { node, .. } = start(|node, _| {
        prepare(node);
        node.write(&format!("{FOLDER}/hold-remove"), "");
        node.write("/usr/bin/systemctl", "#!/bin/sh\necho \"$*\" >>\"$0.calls\"\n");
        fs::set_permissions(node.path("/usr/bin/systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
    });
    node.wait_until("the agent", || node.path("/run/ballast/agent.sock").exists()).await;
    let calls = node.path(&format!("{FOLDER}/calls"));
    let is_committed = || fs::read_to_string(&calls).is_ok_and(|calls| calls.contains("remove"));
    tokio::select! {
        ended = node.operate(upgrade(|upgrade| upgrade.reboot = true)) => panic!("it ended although the worker holds: {ended:?}"),
        () = node.wait_until("the boot entry", is_committed) => {}
    }
    // Longer than the agent needs to notice.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let operation = node.releases().await.unwrap().operation;
    assert!(operation.is_some(), "it was cancelled");
    node.remove(&format!("{FOLDER}/hold-remove"));
    while let Err(failure) = node.operate(Command::Pin(Target { release: "20261122.1".to_owned() })).await {
        assert_eq!(failure.kind, FailureKind::Busy, "{failure}");
    }
    assert_eq!(entries(&node).len(), 2);
    assert!(!node.path("/usr/bin/systemctl.calls").exists(), "it rebooted although nobody waits for it any more");
}
