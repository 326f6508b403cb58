//! Going down, and what is cancelled by going away.

use std::{process::Stdio, time::Duration};

use ballast::report::status::Status;
use tokio::time::{sleep, timeout};

use super::{
    super::{Running, upgrades, upgrades::FOLDER},
    SOON, pair, program,
};

#[tokio::test]
async fn who_goes_away_cancels_what_was_asked_for() {
    let (workstation, running, address) = pair(|node| {
        upgrades::prepare(node);
        node.write(&format!("{FOLDER}/fsck"), r#"{"result":{"objects":9,"damaged":[],"repaired":0}}"#);
        node.write(&format!("{FOLDER}/hold-fsck"), "");
    })
    .await;
    let Running { node, .. } = &running;
    let operation = async || node.releases().await.unwrap().operation.map(|operation| operation.command);
    let mut checks = workstation.command(&["--node", &address, "fsck"]).stderr(Stdio::null()).spawn().unwrap();
    let began = async {
        while operation().await.as_deref() != Some("fsck") {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(SOON, began).await.expect("it is not begun");
    // Nobody goes down meanwhile, unless somebody wants it by force.
    let (code, message) = workstation.fails(&["--node", &address, "reboot"]).await;
    assert!(code == 5 && message.contains("fsck is running"), "{message}");
    checks.kill().await.unwrap();
    let ended = async {
        while operation().await.is_some() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(SOON, ended).await.expect("it goes on");
}

#[tokio::test]
async fn a_node_goes_down_when_no_operation_runs() {
    let script = "#!/bin/sh\necho \"$@\" >>\"${0%/usr/bin/systemctl}/asked\"\n";
    let (workstation, running, address) = pair(|node| {
        upgrades::prepare(node);
        program(node, "/usr/bin/systemctl", script);
    })
    .await;
    let said = workstation.succeeds(&["--node", &address, "reboot"]).await;
    assert_eq!(said, "the node reboots\n");
    assert_eq!(running.node.read("/asked"), "--no-block reboot\n");
    let said = workstation.succeeds(&["--node", &address, "poweroff", "--json"]).await;
    assert!(said.contains("\"done\""), "{said}");
    assert_eq!(running.node.read("/asked"), "--no-block reboot\n--no-block poweroff\n");
}

#[tokio::test]
async fn a_reset_is_ordered_for_the_next_boot() {
    const ORDER: &str = "/var/lib/ballast/reset";
    let (workstation, running, address) = pair(upgrades::prepare).await;
    let node = &running.node;
    // Nobody is there to be asked.
    let (code, message) = workstation.fails(&["--node", &address, "reset"]).await;
    assert!(code == 1 && message.contains("--yes") && !node.path(ORDER).exists(), "{message}");
    workstation.is("an-operator");
    let (code, message) = workstation.fails(&["--node", &address, "reset", "--yes"]).await;
    assert!(code == 1 && message.contains("needs the role admin") && !node.path(ORDER).exists(), "{message}");
    workstation.is("an-admin");
    let said = workstation.succeeds(&["--node", &address, "reset", "--yes", "--keep", "identity,images"]).await;
    assert!(said.starts_with("the next boot empties /var and keeps identity, images"), "{said}");
    assert_eq!(node.read(ORDER), "identity\nimages\nend\n");
    let says = |status: &Status| status.reasons.iter().any(|reason| reason.starts_with("a reset is ordered"));
    node.wait_for("the reason", says).await;
    workstation.succeeds(&["--node", &address, "reset", "--cancel"]).await;
    assert!(!node.path(ORDER).exists());
    let (code, message) = workstation.fails(&["--node", &address, "reset", "--cancel"]).await;
    assert!(code == 4 && message.contains("no reset is ordered"), "{message}");
}
