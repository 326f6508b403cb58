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
    status::{Cluster, Container, Deployment, Pod, Status},
};
use ballast::settings::model::{Failure, FailureKind, Outcome, Planned, Required, Shown};

fn ballast(root: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ballast"));
    command.arg("--root").arg(root).args(arguments).output().unwrap()
}

/// A tree in which something answers as the agent does, when it is asked for the status.
fn agent(answer: impl Into<String>) -> tempfile::TempDir {
    asked("{\"command\":\"status\"}\n", answer)
}

/// The same, for another request.
fn asked(request: &'static str, answer: impl Into<String>) -> tempfile::TempDir {
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
            assert_eq!(line, request);
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    tree
}

fn reply(status: &Status) -> String {
    serde_json::to_string(&Reply::Status(Box::new(status.clone()))).unwrap() + "\n"
}

#[test]
fn the_exit_status_reports_ready_from_not_ready_from_no_answer() {
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
    let container = Container { name: String::new(), state: String::new(), restarts: 0, ..Container::default() };
    let pod = Pod {
        name: String::new(),
        namespace: String::new(),
        phase: String::new(),
        containers: vec![container],
        ..Pod::default()
    };
    let (deployments, pods, clusters) = (vec![deployment], vec![pod], vec![Cluster::default()]);
    let tree = agent(reply(&Status { deployments, pods, clusters, ..Status::default() }));
    let output = ballast(tree.path(), &["status", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let promised = [
        ("", "api boot clusters deployments disk going_down node os pods ready reasons runtime settings"),
        ("/os", "commit digest id version"),
        ("/boot", "busy_ms cpu initramfs_ms kernel_ms ready_ms steps userspace_ms"),
        ("/node", "hostname machine_id"),
        ("/deployments/0", "booted commit digest next state version"),
        ("/runtime", "name ready restarts version"),
        ("/clusters/0", "certificate_until name node reason role rollout server since state traffic"),
        ("/clusters/0/traffic", "bytes_received bytes_sent errors requests"),
        ("/settings", "notes problems sources trial"),
        ("/pods/0", "containers ip message name namespace phase ready reason started_at without_effect"),
        ("/disk", "available_bytes evictions images_removed pressure total_bytes"),
        ("/pods/0/containers/0", "ended last_ended name next_start_at ready restarts role started state"),
    ];
    for (place, keys) in promised {
        let mut found: Vec<&str> =
            json.pointer(place).unwrap().as_object().unwrap().keys().map(String::as_str).collect();
        found.sort_unstable();
        assert_eq!(found.join(" "), keys, "{place}");
    }
}

#[test]
fn clusters_are_a_table_or_json() {
    let cluster = Cluster { name: "prod".to_owned(), state: "connected".to_owned(), ..Cluster::default() };
    let tree = agent(reply(&Status { clusters: vec![cluster.clone()], ..Status::default() }));
    let output = ballast(tree.path(), &["clusters"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.starts_with("NAME   ROLE   STATE       SERVER   CERTIFICATE   UPGRADE\nprod          connected   "),
        "{text}"
    );
    let output = ballast(tree.path(), &["clusters", "--json"]);
    assert_eq!(serde_json::from_slice::<Vec<Cluster>>(&output.stdout).unwrap(), [cluster]);
}

#[test]
fn metrics_that_nobody_serves_are_reported() {
    let output = ballast(tempfile::tempdir().unwrap().path(), &["metrics"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    let expected = "ballast: asking the agent at /run/ballast/metrics.sock: nobody serves them; the agent does so once";
    assert!(stderr.starts_with(expected) && output.status.code() == Some(1), "{stderr}");
}

#[test]
fn boot_reports_what_it_lacks() {
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
        (&["--help"], "Usage: ballast [OPTIONS] <COMMAND>"),
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

fn reported(replies: &[Reply]) -> String {
    replies.iter().map(|reply| serde_json::to_string(reply).unwrap() + "\n").collect()
}

#[test]
fn a_change_of_settings_reports_by_its_status_how_it_ended() {
    let set = "{\"command\":\"change\",\"operation\":{\"change\":{\"edit\":{\"set\":{\"key\":\"network.dns\",\
               \"value\":\"[\\\"192.0.2.1\\\",\\\"192.0.2.2\\\"]\"}},\"dry_run\":false,\"try_secs\":300}}}\n";
    let planned = Planned {
        difference: "+a = 1\n".to_owned(),
        needs: Required { restart: vec!["x.service".to_owned()], ..Required::default() },
    };
    let outcome = Outcome { message: "done".to_owned(), changed: true, planned: planned.clone(), trial_s: Some(300) };
    let failure = |kind| Reply::Unchanged(Failure { kind, message: "why".to_owned() });
    let first = [Reply::Planned(planned), Reply::Working {}];
    for (last, code, stdout, stderr) in [
        (Reply::Changed(outcome), 0, "+a = 1\nrestarts x.service\ndone\n", ""),
        (failure(FailureKind::Failed), 1, "+a = 1\nrestarts x.service\n", "ballast: why\n"),
        (failure(FailureKind::Refused), 4, "+a = 1\nrestarts x.service\n", "ballast: why\n"),
        (failure(FailureKind::Busy), 5, "+a = 1\nrestarts x.service\n", "ballast: why\n"),
    ] {
        let tree = asked(set, reported(&[first.as_slice(), &[last]].concat()));
        let words = ["settings", "set", "network.dns", "192.0.2.1", "192.0.2.2", "--try", "5m"];
        let output = ballast(tree.path(), &words);
        assert_eq!(String::from_utf8(output.stdout).unwrap(), stdout);
        assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()), (Some(code), stderr));
        let json = ballast(tree.path(), &[&words[..], &["--json"]].concat());
        let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        assert_eq!(json["done"]["needs"]["restart"][0] == "x.service", code == 0, "{json}");
    }
}

#[test]
fn a_key_is_printed_for_scripts() {
    let shown = Shown { settings: "hostname = \"a\"\n[update]\nauto = true\n".to_owned(), ..Shown::default() };
    let tree = asked("{\"command\":\"settings\"}\n", reported(&[Reply::Settings(Box::new(shown))]));
    for (key, code, stdout) in
        [("hostname", 0, "a\n"), ("update.auto", 0, "true\n"), ("log.level", 1, ""), ("x", 1, "")]
    {
        let output = ballast(tree.path(), &["settings", "get", key]);
        assert_eq!((output.status.code(), String::from_utf8(output.stdout).unwrap().as_str()), (Some(code), stdout));
    }
    let output = ballast(tree.path(), &["settings", "show", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let keys: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["notes", "origins", "problems", "settings", "sources", "trial"]);
    assert_eq!(json["settings"]["update"]["auto"], true);
}

#[test]
fn settings_are_written_at_boot_without_an_agent_and_never_fail_it() {
    let tree = tempfile::tempdir().unwrap();
    let path = |name: &str| tree.path().join(name);
    fs::create_dir_all(path("proc/sys/kernel")).unwrap();
    fs::create_dir_all(path("run/credentials/@system")).unwrap();
    fs::write(path("run/credentials/@system/ballast.settings"), "hostname = \"a\"\nnonsense\n").unwrap();
    let output = ballast(tree.path(), &["settings", "boot"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let reported = String::from_utf8(output.stderr).unwrap();
    assert!(reported.starts_with("credential ballast.settings:2:"), "{reported}");
    assert_eq!(fs::read_to_string(path("etc/hostname")).unwrap(), "a\n");
    assert_eq!(fs::read_to_string(path("proc/sys/kernel/hostname")).unwrap(), "a");

    // Nothing is written to the disk on the way to READY.
    assert!(!path("var").exists());
    fs::write(path("var"), "not a folder").unwrap();
    assert_eq!(ballast(tree.path(), &["settings", "boot"]).status.code(), Some(0));
    let schema = ballast(tree.path(), &["settings", "schema"]);
    assert!(serde_json::from_slice::<serde_json::Value>(&schema.stdout).unwrap()["properties"]["update"].is_object());
}

#[test]
fn f02_a_document_that_is_no_text_is_refused() {
    let tree = tempfile::tempdir().unwrap();
    let file = tree.path().join("a.toml");
    fs::write(&file, [0xff, 0xfe, 0]).unwrap();
    let output = ballast(tree.path(), &["settings", "apply", file.to_str().unwrap()]);
    let expected = format!("ballast: {} is not a text in UTF-8\n", file.display());
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(4), expected));
}

#[test]
fn an_edit_that_cannot_be_made_says_what_is_missing() {
    let tree = tempfile::tempdir().unwrap();
    fs::create_dir_all(tree.path().join("run/ballast")).unwrap();
    let edit = |editor: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ballast"));
        let output = command.arg("--root").arg(tree.path()).args(["settings", "edit"]).env("EDITOR", editor).output();
        let output = output.unwrap();
        let reported = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(reported).unwrap())
    };
    let (code, reported) = edit("/no/such/editor");
    assert!(code == Some(1) && reported.contains("there is no editor /no/such/editor here"), "{reported}");
    assert_eq!(edit("true"), (Some(0), "nothing is different; nothing to do\n".to_owned()));
    assert_eq!(fs::read_dir(tree.path().join("run/ballast")).unwrap().count(), 0);
    let new = tree.path().join("new.toml");
    fs::write(&new, "hostname = \"a\"\n").unwrap();
    let (code, reported) = edit(&format!("cp {}", new.display()));
    assert!(code == Some(1) && reported.contains("the agent is not running"), "{reported}");
}

#[test]
fn explain_reports_what_a_manifest_is_and_its_exit_status_whether_all_is_taken() {
    let tree = tempfile::tempdir().unwrap();
    let file = tree.path().join("web.yaml");
    let manifest = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  schedulerName: x\n  containers: [{name: c, image: x}]\n";
    for (text, expected, status) in [
        (manifest.to_owned(), "pod web: is taken", 0),
        (manifest.to_owned(), "5: spec.schedulerName: without effect on this node", 0),
        (
            manifest.replace("schedulerName: x", "hostUsers: false"),
            "5: spec.hostUsers: is not supported on this node",
            4,
        ),
        (String::new(), "the file has nothing in it, expected a v1 Pod", 4),
    ] {
        std::fs::write(&file, text).unwrap();
        let output = ballast(tree.path(), &["pods", "explain", file.to_str().unwrap()]);
        let reported = String::from_utf8(output.stdout).unwrap();
        assert!(reported.contains(expected), "{reported}");
        assert_eq!(output.status.code(), Some(status), "{reported}");
    }
    // Its ConfigMap is a folder beside it, and for scripts there is JSON.
    let text = manifest.replace("schedulerName: x", "volumes: [{name: v, configMap: {name: conf}}]");
    std::fs::write(&file, text).unwrap();
    let explain = || ballast(tree.path(), &["pods", "explain", file.to_str().unwrap(), "--json"]);
    let refused: serde_json::Value = serde_json::from_slice(&explain().stdout).unwrap();
    assert_eq!(refused["refused"][0]["key"], "spec.volumes[0].configMap.name");
    std::fs::create_dir(tree.path().join("conf")).unwrap();
    std::fs::write(tree.path().join("conf/a"), "1").unwrap();
    let taken: serde_json::Value = serde_json::from_slice(&explain().stdout).unwrap();
    assert_eq!(
        (taken["taken"][0]["pod"].as_str(), taken["refused"].as_array().map(Vec::len)),
        (Some("default/web"), Some(0))
    );
}
