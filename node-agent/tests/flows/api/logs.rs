//! Logs from elsewhere.

use std::{fs, path::Path, process::Stdio};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    time::timeout,
};

use super::{
    super::{Running, manifest, pod_file, shown},
    SOON, pair, program,
};

#[tokio::test]
async fn logs_are_followed_until_who_asked_goes_away() {
    let script = "#!/bin/sh\necho $$ >\"${0%/usr/bin/journalctl}/pid\"\necho \"$@\"\nexec sleep 600\n";
    let (workstation, running, address) = pair(|node| {
        program(node, "/usr/bin/journalctl", script);
        node.write(&pod_file("web"), &manifest("web", "localhost/c:1"));
    })
    .await;
    let Running { node, .. } = &running;
    node.wait_for("the pod", |status| shown(status) == ["web Running c running 0"]).await;
    let mut follows = workstation.command(&["--node", &address, "logs", "containerd", "-f", "-n", "5"]);
    let mut follows = follows.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follows.stdout.take().unwrap()).lines();
    let arguments = timeout(SOON, lines.next_line()).await.unwrap().unwrap().unwrap();
    assert!(arguments.ends_with("--boot --unit=containerd.service --follow --lines=5"), "{arguments}");
    let pid = node.read("/pid");
    let is_there = || {
        let stat = fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat"));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    };
    assert!(is_there());
    follows.kill().await.unwrap();
    node.wait_until("journalctl to end", || !is_there()).await;

    node.write("/var/log/pods/default_web_u/c/0.log", "2026-11-30T10:00:00Z stdout F hello\n");
    assert_eq!(workstation.succeeds(&["--node", &address, "logs", "web/c"]).await, "hello\n");
    workstation.is("an-reader");
    let (code, message) = workstation.fails(&["--node", &address, "logs", "web"]).await;
    assert!(code == 1 && message.contains("needs the role operator"), "{message}");
}
