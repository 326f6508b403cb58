//! The command line from outside: what it prints, and its exit status.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixListener,
    path::Path,
    process::{Command, Output},
    thread,
};

use ballast::report::{
    boot::Boot,
    socket::{Reply, SOCKET},
    status::{Container, Deployment, Pod, Status},
};

fn ballast(root: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ballast"));
    command.arg("--root").arg(root).args(arguments).output().unwrap()
}

/// A tree in which something answers as the agent does.
fn agent(answer: impl Into<String>) -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    let socket = tree.path().join(SOCKET.trim_start_matches('/'));
    fs::create_dir_all(socket.parent().unwrap()).unwrap();
    let listener = UnixListener::bind(socket).unwrap();
    let answer = answer.into();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            assert_eq!(line, "{\"command\":\"status\"}\n");
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    tree
}

fn reply(status: &Status) -> String {
    serde_json::to_string(&Reply::Status(Box::new(status.clone()))).unwrap() + "\n"
}

#[test]
fn the_exit_status_tells_ready_from_not_ready_from_no_answer() {
    let error = serde_json::to_string(&Reply::Error("no".to_owned())).unwrap() + "\n";
    let table = [
        (agent(reply(&Status { ready: true, ..Status::default() })), 0, ""),
        (agent(reply(&Status::default())), 3, ""),
        (agent(error), 1, "ballast: the agent refused: no\n"),
        (agent("\n"), 1, "ballast: reading the agent's answer: EOF while parsing a value at line 2 column 0\n"),
        (agent(""), 1, "ballast: the agent closed the connection without an answer; see journalctl -u ballast\n"),
        (tempfile::tempdir().unwrap(), 1, "ballast: the agent is not running; see systemctl status ballast\n"),
    ];
    for (tree, code, stderr) in table {
        let output = ballast(tree.path(), &["status"]);
        assert_eq!(String::from_utf8(output.stderr).unwrap(), stderr);
        assert_eq!(output.status.code(), Some(code));
    }
}

#[test]
fn the_keys_of_the_json_are_the_ones_that_were_promised() {
    let deployment = Deployment {
        version: String::new(),
        commit: String::new(),
        digest: None,
        booted: true,
        next: true,
        state: String::new(),
    };
    let container = Container { name: String::new(), state: String::new(), restarts: 0 };
    let pod = Pod { name: String::new(), namespace: String::new(), phase: String::new(), containers: vec![container] };
    let tree = agent(reply(&Status { deployments: vec![deployment], pods: vec![pod], ..Status::default() }));
    let output = ballast(tree.path(), &["status", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let promised = [
        ("", "boot clusters deployments node os pods ready reasons runtime settings"),
        ("/os", "commit digest id version"),
        ("/boot", "busy_ms cpu initramfs_ms kernel_ms ready_ms steps userspace_ms"),
        ("/node", "hostname machine_id"),
        ("/deployments/0", "booted commit digest next state version"),
        ("/runtime", "name ready restarts version"),
        ("/settings", "problems sources trial"),
        ("/pods/0", "containers name namespace phase"),
        ("/pods/0/containers/0", "name restarts state"),
    ];
    for (place, keys) in promised {
        let mut found: Vec<&str> =
            json.pointer(place).unwrap().as_object().unwrap().keys().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found.join(" "), keys, "{place}");
    }
}

#[test]
fn boot_tells_what_it_lacks() {
    let ready = Boot { ready_ms: Some(3_100), ..Boot::default() };
    let no_bus = agent(reply(&Status { boot: ready, ..Status::default() }));
    let bus = no_bus.path().join("run/dbus/system_bus_socket");
    let connecting = format!("ballast: connecting to systemd over the bus at {}: ", bus.display());
    let table = [
        (
            tempfile::tempdir().unwrap(),
            1,
            "ballast: the agent is not running; see systemctl status ballast\n".to_owned(),
        ),
        (
            agent(reply(&Status::default())),
            3,
            "ballast: the node has not been READY in this boot; see ballast status\n".to_owned(),
        ),
        (no_bus, 1, connecting),
    ];
    for (tree, code, expected) in table {
        let output = ballast(tree.path(), &["boot", "--json"]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.starts_with(&expected), "{stderr}");
        assert_eq!(output.status.code(), Some(code));
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn help_and_version_are_there() {
    let tree = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (&["--version"][..], concat!("ballast ", env!("CARGO_PKG_VERSION"), "\n")),
        (&["--help"], "Usage: ballast <COMMAND>"),
        (&["boot", "--help"], "Exit status: 0 the table is printed; 3 the node has not been READY"),
        (&["status", "--help"], "Exit status: 0 the node is ready; 3 it is not"),
    ] {
        let output = ballast(tree.path(), arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(expected), "{text}");
        assert_eq!(output.status.code(), Some(0));
    }
    assert_eq!(ballast(tree.path(), &["nonsense"]).status.code(), Some(2));
}
