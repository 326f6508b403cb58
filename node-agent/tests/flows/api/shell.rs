//! A shell on the node: what it leaves, when it ends, and who may have none.

use std::process::Stdio;

use ballast::{
    report::{
        exec::{Shell, shell},
        socket::{Reply, Request},
        status::Status,
    },
    settings::model::FILE,
};
use tokio::{process::Child, time::timeout};

use super::{
    super::{Running, fake::Node, upgrades},
    SOON, Workstation, listens, pair, program,
};

const IMAGE: &str = "r.example/toolbox:1";
const WORKER: &str = "#!/bin/sh\necho \"$*\" >>\"${0%/usr/lib/ballast/artifact-worker}/resolved\"\ncat \"${0%/usr/lib/ballast/artifact-worker}/answer\"\n! grep -q error \"${0%/usr/lib/ballast/artifact-worker}/answer\"\n";

fn digest() -> String {
    format!("sha256:{}", "a".repeat(64))
}

async fn node(settings: &str) -> (Workstation, Running, String) {
    pair(|node| {
        upgrades::prepare(node);
        program(node, "/usr/lib/ballast/artifact-worker", WORKER);
        node.write("/answer", &format!("{{\"result\":{{\"digest\":\"{}\"}}}}\n", digest()));
        let before = node.read(FILE);
        node.write(FILE, &(before + settings));
    })
    .await
}

fn is_open(status: &Status) -> bool {
    let text = format!("a shell with all rights on the node is open, in r.example/toolbox@{}", digest());
    status.reasons.iter().any(|reason| reason.starts_with(&text))
}

/// Nothing is left of it.
async fn is_gone(running: &Running) {
    let Running { node, runtime, .. } = running;
    node.wait_until("the sandbox to go", || runtime.state().sandboxes.is_empty()).await;
    node.wait_for("the status", |status| !is_open(status)).await;
    let folder = std::fs::read_dir(node.path(shell::FOLDER)).map_or(0, Iterator::count);
    assert_eq!((folder, runtime.state().containers.len()), (0, 0));
}

fn sleeping(workstation: &Workstation, address: &str) -> Child {
    let arguments = ["--node", address, "shell", "--image", IMAGE, "--", "sleep", "600"];
    workstation.command(&arguments).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

#[tokio::test]
async fn a_shell_has_all_rights_and_leaves_nothing() {
    let (workstation, running, address) = node("").await;
    let Running { node, runtime, .. } = &running;
    let arguments =
        ["--node", &address, "shell", "--image", IMAGE, "--minutes", "5", "--", "sh", "-c", "echo $OF; exit 7"];
    let output = workstation.run(&arguments).await;
    assert_eq!((output.status.code(), &*output.stdout), (Some(7), &b"the-container\n"[..]), "{output:?}");
    // What was signed is what was fetched.
    let asked = node.read("/resolved");
    assert!(
        asked.starts_with(&format!("resolve {IMAGE} --policy ")) && asked.contains("policy-toolbox.json"),
        "{asked}"
    );
    assert_eq!(runtime.calls("PullImage"), [format!("PullImage r.example/toolbox@{}", digest())]);
    is_gone(&running).await;

    // While it is open the status says so; who goes away ends it.
    let mut child = sleeping(&workstation, &address);
    node.wait_for("the reason", is_open).await;
    node.wait_until("the container", || runtime.state().starts.len() == 2).await;
    {
        let state = runtime.state();
        let [container] = state.containers.as_slice() else { panic!("{:?}", state.calls) };
        let config = &container.config;
        let is_privileged =
            config.linux.as_ref().and_then(|linux| linux.security_context.as_ref()).map(|own| own.privileged);
        assert_eq!(is_privileged, Some(true));
        assert!(config.mounts.iter().any(|mount| mount.container_path == "/host"), "{config:?}");
    }
    let (code, told) = workstation.fails(&["--node", &address, "shell", "--image", IMAGE]).await;
    assert!(code == 1 && told.contains("another shell is open"), "{told}");
    child.kill().await.unwrap();
    is_gone(&running).await;
    workstation.is("an-operator");
    let (code, told) = workstation.fails(&["--node", &address, "shell", "--image", IMAGE]).await;
    assert!(code == 1 && told.contains("needs the role admin"), "{told}");
}

#[tokio::test]
async fn a_shell_ends_by_its_time_and_with_its_agent() {
    let (workstation, mut running, address) = node("").await;
    let wanted = Shell {
        image: Some(IMAGE.to_owned()),
        secs: 2,
        stdin: false,
        tty: false,
        command: ["sleep", "600"].map(str::to_owned).to_vec(),
    };
    // containerd does so when the shell's own process ends in that moment.
    running.runtime.state().failing_stops = 1;
    let replies = timeout(SOON, running.node.ask(&Request::Shell(wanted))).await.unwrap().unwrap();
    let Some(Reply::Error(told)) = replies.last() else { panic!("{replies:?}") };
    assert!(told.contains("the shell's 2 s are over"), "{told}");
    is_gone(&running).await;

    let mut child = sleeping(&workstation, &address);
    running.node.wait_for("the reason", is_open).await;
    running.node.kill_agent().await;
    child.kill().await.unwrap();
    running.node.start_agent();
    is_gone(&running).await;
}

#[tokio::test]
async fn what_was_forbidden_is_allowed_by_another_boot_only() {
    let (workstation, mut running, address) = node("[debug]\nshell = \"never\"\n").await;
    let refused = async |expected: &str| {
        let (code, told) = workstation.fails(&["--node", &address, "shell", "--image", IMAGE]).await;
        assert!(code == 1 && told.contains(expected), "{told}");
    };
    refused("debug.shell = \"never\" in the settings forbids it").await;
    workstation.succeeds(&["--node", &address, "settings", "set", "debug.shell", "admin"]).await;
    refused("was \"never\" in this boot").await;
    running.node.kill_agent().await;
    running.node.start_agent();
    listens(&address).await;
    refused("was \"never\" in this boot").await;
    running.node.kill_agent().await;
    running.node.remove("/run/ballast/shell-never");
    running.node.start_agent();
    listens(&address).await;
    refused_image(&workstation, &running.node, &address).await;
    workstation.succeeds(&["--node", &address, "shell", "--image", IMAGE, "--", "true"]).await;
}

/// One that nobody signed is not fetched.
async fn refused_image(workstation: &Workstation, node: &Node, address: &str) {
    let answer = node.read("/answer");
    node.write("/answer", "{\"error\":{\"kind\":\"refused\",\"message\":\"no signature\"}}\n");
    let (code, told) = workstation.fails(&["--node", address, "shell", "--image", IMAGE]).await;
    assert!(code == 1 && told.contains("checking the toolbox r.example/toolbox:1: no signature"), "{told}");
    let (code, told) = workstation.fails(&["--node", address, "shell"]).await;
    assert!(code == 1 && told.contains("name a toolbox with --image"), "{told}");
    node.write("/answer", &answer);
}
