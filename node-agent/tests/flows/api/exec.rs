//! Commands in containers, from here and from elsewhere.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use super::{
    super::{Running, fake::tasks, manifest, pod_file, shown},
    SOON, Workstation, pair,
};

const RUNS: [&str; 1] = ["web Running c running 0"];

/// Ways to a node: over its socket, and over its API.
struct Ways {
    workstation: Workstation,
    running: Running,
    address: String,
}

impl Ways {
    async fn new() -> Self {
        let (workstation, running, address) =
            pair(|node| node.write(&pod_file("web"), &manifest("web", "localhost/c:1"))).await;
        running.node.wait_for("the pod", |status| shown(status) == RUNS).await;
        Self { workstation, running, address }
    }

    /// `ballast exec` with `arguments`, both ways.
    fn commands(&self, arguments: &[&str]) -> [Command; 2] {
        let mut here = Command::new(env!("CARGO_BIN_EXE_ballast"));
        here.arg("--root").arg(self.running.node.path("/")).arg("exec").args(arguments).kill_on_drop(true);
        let elsewhere = self.workstation.command(&[&["--node", &self.address, "exec"], arguments].concat());
        [here, elsewhere].map(|mut command| {
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            command
        })
    }

    fn folder(&self) -> usize {
        std::fs::read_dir(self.running.node.path("/run/ballast/exec")).map_or(0, Iterator::count)
    }
}

/// Exit status, what it said and what it complained of, if it reads `input`.
async fn ended(mut child: Child, input: &[u8]) -> (Option<i32>, String, String) {
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input).await.unwrap();
    drop(stdin);
    let output = timeout(SOON, child.wait_with_output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn a_command_says_what_it_has_to_say_and_how_it_ended() {
    let ways = Ways::new().await;
    for mut command in ways.commands(&["web", "--", "sh", "-c", "echo out $OF; echo err >&2; exit 7"]) {
        let ended_as = ended(command.spawn().unwrap(), b"").await;
        assert_eq!(ended_as, (Some(7), "out the-container\n".to_owned(), "err\n".to_owned()));
    }
    // Its input has an end, and is as long as it likes.
    let long = "0123456789abcdef\n".repeat(20_000);
    for mut command in ways.commands(&["-i", "default/web", "-c", "c", "--", "sh", "-c", "wc -c; exit 3"]) {
        let (code, out, err) = ended(command.spawn().unwrap(), long.as_bytes()).await;
        assert_eq!((code, out.trim(), &*err), (Some(3), &*long.len().to_string(), ""));
    }
    for mut command in ways.commands(&["-i", "web", "--", "cat"]) {
        let (code, out, err) = ended(command.spawn().unwrap(), long.as_bytes()).await;
        assert!(code == Some(0) && out == long && err.is_empty(), "{code:?} {} {err}", out.len());
    }
    for (arguments, expected) in [
        (&["other", "--", "ls"][..], "no container of a pod other runs on the node"),
        (&["web", "-c", "d", "--", "ls"], "no container d runs in pod web, only c"),
        (&["web", "--", "/no/such"], "starting the command: Start: exec: \"/no/such\": not found"),
        (&["-t", "web", "--", "ls"], "-t needs a terminal here, too"),
    ] {
        for mut command in ways.commands(arguments) {
            let (code, out, err) = ended(command.spawn().unwrap(), b"").await;
            assert!(code == Some(1) && out.is_empty() && err.contains(expected), "{arguments:?}: {err}");
        }
    }
    assert_eq!(ways.folder(), 0);
    assert!(ways.running.runtime.state().tasks.is_empty());
    ways.workstation.is("an-operator");
    let [_, mut elsewhere] = ways.commands(&["web", "--", "id"]);
    let (code, _, err) = ended(elsewhere.spawn().unwrap(), b"").await;
    assert!(code == Some(1) && err.contains("needs the role admin"), "{err}");
}

#[tokio::test]
async fn who_goes_away_ends_the_command() {
    let ways = Ways::new().await;
    // A signal is passed on; a client that is killed takes the command with it, also one that reads nothing of what it is sent.
    for (number, (mut command, word)) in ways
        .commands(&[
            "-i",
            "web",
            "--",
            "sh",
            "-c",
            "trap 'echo bye; exit 9' TERM; echo on; while :; do sleep 0.1; done",
            "WORD",
        ])
        .into_iter()
        .zip(["here", "elsewhere"])
        .enumerate()
    {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(timeout(SOON, lines.next_line()).await.unwrap().unwrap().as_deref(), Some("on"), "{word}");
        assert!(tasks::runs("WORD"));
        let pid = rustix::process::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert_eq!(timeout(SOON, lines.next_line()).await.unwrap().unwrap().as_deref(), Some("bye"), "{word}");
        assert_eq!(timeout(SOON, child.wait()).await.unwrap().unwrap().code(), Some(9), "{word}");
        ways.running.node.wait_until("it to be forgotten", || ways.folder() == 0).await;
        assert_eq!(ways.running.runtime.calls("Kill 15").len(), number + 1);
    }
    for mut command in ways.commands(&["-i", "web", "--", "sleep", "3579"]) {
        let mut child = command.spawn().unwrap();
        ways.running.node.wait_until("the command", || tasks::runs("3579")).await;
        child.stdin.as_mut().unwrap().write_all(&[b'x'; 4096]).await.unwrap();
        child.kill().await.unwrap();
        // The client's own command line has it, too.
        ways.running.node.wait_until("its end", || !tasks::runs("3579")).await;
        ways.running.node.wait_until("it to be forgotten", || ways.folder() == 0).await;
    }
}

#[tokio::test]
async fn an_agent_ends_what_one_before_it_left_running() {
    let mut ways = Ways::new().await;
    ways.running.node.kill_agent().await;
    tasks::leave(&ways.running.runtime, "ballast-left", &["sleep", "2468"]);
    ways.running.node.write("/run/ballast/exec/ballast-left/container", "c1");
    ways.running.node.wait_until("it to run", || tasks::runs("2468")).await;
    ways.running.node.start_agent();
    ways.running.node.wait_until("its end", || !tasks::runs("2468")).await;
    ways.running.node.wait_until("it to be forgotten", || ways.folder() == 0).await;
    assert_eq!(ways.running.runtime.calls("DeleteProcess"), ["DeleteProcess c1"]);
}
