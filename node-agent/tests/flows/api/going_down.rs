//! Going down, and what is cancelled by going away.

use std::{process::Stdio, time::Duration};

use ballast::{report::status::Status, settings::model::FILE};
use tokio::time::{sleep, timeout};

use super::{
    super::{
        Running,
        fake::{Node, cri, shown},
        kubelet, manifest, pod_file, upgrades,
        upgrades::FOLDER,
    },
    SOON, Workstation, listens, pair, program,
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
    // It does not do so twice.
    let (code, told) = workstation.fails(&["--node", &address, "poweroff"]).await;
    assert!(code == 5 && told.contains("the node reboots already"), "{told}");
    // Nothing begins that could not end.
    let (code, told) = workstation.fails(&["--node", &address, "fsck"]).await;
    assert!(code == 5 && told.contains("the node goes down"), "{told}");
}

/// A node whose systemctl writes down what it is asked, and what was stopped before.
async fn going(prepare: impl FnOnce(&Node)) -> (Workstation, Running, String) {
    pair(|node| {
        upgrades::prepare(node);
        program(node, "/usr/bin/systemctl", "#!/bin/sh\necho \"$@\" >>\"${0%/usr/bin/systemctl}/asked\"\n");
        prepare(node);
    })
    .await
}

#[tokio::test]
async fn its_pods_end_first_those_of_low_priority_before_others() {
    let pod = |name: &str, more: &str| {
        manifest(name, "localhost/c:1").replace("name: c\n", &format!("name: c-{name}\n"))
            + &format!("  terminationGracePeriodSeconds: 7\n{more}")
    };
    let (workstation, running, address) = going(|node| {
        node.write(&pod_file("a"), &pod("a", "  priorityClassName: system-node-critical\n"));
        node.write(&pod_file("b"), &pod("b", "  priority: -5\n"));
        node.write(&pod_file("d"), &pod("d", ""));
    })
    .await;
    let Running { node, runtime, .. } = &running;
    let all = ["a Running c-a running 0", "b Running c-b running 0", "d Running c-d running 0"];
    node.wait_for("the pods", |status| shown(status) == all).await;
    let output = workstation.run(&["--node", &address, "poweroff", "--json"]).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("\"message\": \"the node switches itself off\""), "{said}");
    assert_eq!(runtime.state().stops, ["c-b 7", "c-d 7", "c-a 7"]);
    assert_eq!(node.read("/asked"), "--no-block poweroff\n");
    // Nothing is started again, and the records stay for the next boot.
    let ended = |status: &Status| status.going_down.as_ref().is_some_and(|going| going.phase == "goes-down");
    node.wait_for("the last phase", ended).await;
    assert_eq!((runtime.calls("RunPodSandbox").len(), runtime.calls("RemovePodSandbox").len()), (3, 0));
    assert_eq!(runtime.calls("StopPodSandbox").len(), 3);
}

#[tokio::test]
async fn what_is_scheduled_outlives_the_agent_and_is_taken_back() {
    let (workstation, mut running, address) = going(|_| {}).await;
    let said = workstation.succeeds(&["--node", &address, "reboot", "--in", "10m"]).await;
    assert_eq!(said, "the node reboots in 10min\n");
    let (code, told) = workstation.fails(&["--node", &address, "poweroff", "--in", "1h"]).await;
    assert!(code == 5 && told.contains("the node reboots in") && told.contains("--cancel"), "{told}");
    let node = &mut running.node;
    let console = "ballast: the node reboots in 10min; ballast reboot --cancel takes it back";
    node.wait_until("the console", || node.read("/dev/console").contains(console)).await;
    let is_scheduled = |status: &Status| {
        let going = status.going_down.as_ref();
        going.is_some_and(|going| going.phase == "scheduled" && going.left_s.is_some_and(|left| left > 500))
    };
    node.wait_for("the status", is_scheduled).await;
    node.kill_agent().await;
    node.start_agent();
    let status = node.wait_for("the status again", |status| status.ready && is_scheduled(status)).await;
    let going = status.going_down.unwrap();
    assert_eq!((going.action.as_str(), going.drain), ("reboot", false));
    listens(&address).await;
    let screen = workstation.succeeds(&["--node", &address, "status"]).await;
    assert!(screen.contains("Power") && screen.contains("the node reboots in "), "{screen}");
    let said = workstation.succeeds(&["--node", &address, "reboot", "--cancel"]).await;
    assert_eq!(said, "taken back; the node stays up\n");
    node.wait_for("it stays", |status| status.going_down.is_none()).await;
    assert!(!node.path("/run/ballast/going-down.json").exists() && !node.path("/asked").exists());
    let (code, told) = workstation.fails(&["--node", &address, "reboot", "--cancel"]).await;
    assert!(code == 4 && told.contains("nothing is scheduled"), "{told}");
}

#[tokio::test]
async fn what_is_scheduled_comes_and_waits_for_an_operation() {
    let (workstation, running, address) = going(|node| {
        node.write(&format!("{FOLDER}/fsck"), r#"{"result":{"objects":9,"damaged":[],"repaired":0}}"#);
        node.write(&format!("{FOLDER}/hold-fsck"), "");
    })
    .await;
    let node = &running.node;
    workstation.succeeds(&["--node", &address, "reboot", "--in", "1s"]).await;
    let checks = workstation.command(&["--node", &address, "fsck"]).stdout(Stdio::null()).spawn().unwrap();
    let waits = |status: &Status| {
        let going = status.going_down.as_ref();
        going.is_some_and(|going| going.phase == "waits" && going.message.contains("fsck is running"))
    };
    node.wait_for("it waits", waits).await;
    assert!(!node.path("/asked").exists());
    node.remove(&format!("{FOLDER}/hold-fsck"));
    node.wait_until("it reboots", || node.path("/asked").exists()).await;
    assert_eq!(node.read("/asked"), "--no-block reboot\n");
    drop(checks);
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_holds_a_drain_until_its_time_is_over() {
    const CLUSTER: &str = "[[cluster]]\nname = \"a\"\nservers = [\"https://127.0.0.1:1\"]\ntoken = \"s3cret\"\n";
    let (workstation, running, address) = going(|node| {
        node.write(&pod_file("web"), &manifest("web", "localhost/c:1"));
        let settings = node.read(FILE);
        node.write(FILE, &(settings + CLUSTER));
    })
    .await;
    let Running { node, runtime, .. } = &running;
    node.wait_for("the pod", |status| shown(status) == ["web Running c running 0"]).await;
    let arguments = ["--node", &address, "reboot", "--drain", "--drain-timeout", "2s"];
    let (code, told) = workstation.fails(&arguments).await;
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("not drained within 2 s, so the node stays up") && told.contains("cluster a: "), "{told}");
    assert!(told.starts_with("the pods of its clusters go\n"), "{told}");
    node.wait_for("it stays", |status| status.going_down.is_none()).await;
    assert!(!node.path("/asked").exists() && runtime.state().stops.is_empty());
    // Who goes away takes it back.
    let mut drains = workstation.command(&["--node", &address, "reboot", "--drain"]).spawn().unwrap();
    let drained = |status: &Status| status.going_down.as_ref().is_some_and(|going| going.phase == "drains");
    node.wait_for("the drain", drained).await;
    drains.kill().await.unwrap();
    node.wait_for("it stays up", |status| status.going_down.is_none()).await;
    assert!(!node.path("/asked").exists());
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

#[tokio::test]
async fn a_kubelets_pods_end_after_it_and_are_its_own_again() {
    let (workstation, running, address) = going(|node| {
        node.write(kubelet::ENVIRONMENT, "ARTIFACT=sha256:a\n");
        let settings = node.read(FILE);
        node.write(FILE, &(settings + "[kubelet]\nimage = \"r.example/kubelet:1\"\n"));
    })
    .await;
    let Running { node, runtime, systemd } = &running;
    kubelet::left(runtime, cri::RUNNING);
    workstation.succeeds(&["--node", &address, "reboot"]).await;
    assert_eq!(node.read("/asked"), "--no-block reboot\n");
    assert_eq!(runtime.state().stops, ["c 7"]);
    assert_eq!(runtime.calls("StopPodSandbox"), ["StopPodSandbox k1"]);
    assert!(runtime.calls("RemovePodSandbox").is_empty(), "{:?}", runtime.state().calls);
    let ended = "StopUnit ballast-kubelet.service replace";
    assert!(systemd.state().calls.iter().any(|call| call == ended), "{:?}", systemd.state().calls);
}
