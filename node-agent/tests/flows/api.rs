//! The API, over loopback: the agent serves it, the client for workstations asks.

mod client;

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Output, Stdio},
    time::Duration,
};

use ballast::{
    report::status::{Api, Status},
    settings::model::FILE,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::Command,
    time::{sleep, timeout},
};

use self::client::{Certificate, authority, exchange, handshake};
use super::{Running, fake::Node, manifest, pod_file, start, upgrades::FOLDER};

/// No wait here is longer, however busy the machine is.
const SOON: Duration = Duration::from_secs(60);

/// Somebody with a folder of their own.
struct Workstation {
    folder: tempfile::TempDir,
}

impl Workstation {
    /// One with an authority, and a certificate of each role; tells the settings for nodes at `address` besides.
    async fn new(address: &str) -> (Self, String) {
        let workstation = Self { folder: tempfile::tempdir().unwrap() };
        let settings = workstation.succeeds(&["ca", "init"]).await;
        for role in ["admin", "operator", "reader"] {
            workstation.succeeds(&["ca", "issue", &format!("an-{role}"), "--role", role, "--days", "1"]).await;
        }
        (workstation, settings.replace("0.0.0.0:9600", address))
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join("ballast").join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ballast-cli"));
        command.env("XDG_CONFIG_HOME", self.folder.path()).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        timeout(super::fake::TIMEOUT, self.command(arguments).output()).await.unwrap().unwrap()
    }

    async fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments).await;
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Exit status and what is said of it.
    async fn fails(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments).await;
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    }

    /// Who one is from now on.
    fn is(&self, name: &str) {
        let text = format!(
            "[contexts.default]\ncertificate = \"certificates/{name}.pem\"\nkey = \"certificates/{name}-key.pem\"\n"
        );
        fs::write(self.path("config.toml"), text).unwrap();
    }

    fn serial(&self, name: &str) -> String {
        let issued = fs::read_to_string(self.path("ca/issued.txt")).unwrap();
        let line = issued.lines().find(|line| line.ends_with(name)).unwrap();
        line.split(' ').next().unwrap().to_owned()
    }
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

async fn served(node: &Node) -> Api {
    node.wait_for("the API", |status| status.ready && status.api.is_some()).await.api.unwrap()
}

/// A workstation and a node that know each other.
async fn pair(prepare: impl FnOnce(&Node)) -> (Workstation, Running, String) {
    let address = free_address();
    let (workstation, settings) = Workstation::new(&address).await;
    let running = start(|node, _| {
        node.write(FILE, &settings);
        prepare(node);
    });
    let Api { fingerprint, .. } = served(&running.node).await;
    workstation.succeeds(&["--node", &address, "--fingerprint", &fingerprint, "releases"]).await;
    (workstation, running, address)
}

#[tokio::test]
async fn three_commands_lead_to_the_first_status() {
    let address = free_address();
    let (workstation, settings) = Workstation::new(&address).await;
    let Running { node, .. } = start(|node, _| node.write(FILE, &settings));
    let api = served(&node).await;
    assert_eq!(api.address, address);
    let key = node.path("/var/lib/ballast/api/server.pem");
    assert_eq!(fs::metadata(key).unwrap().permissions().mode() & 0o777, 0o600);
    let console = format!("ballast: operators reach this node at {address}, certificate {}", api.fingerprint);
    assert!(node.read("/dev/console").contains(&console), "{}", node.read("/dev/console"));

    // Nobody is believed in silence.
    let (code, told) = workstation.fails(&["--node", &address, "status"]).await;
    assert!(code == 1 && told.contains("was never spoken to") && told.contains(&api.fingerprint), "{told}");
    let wrong = format!("sha256:{}", "0".repeat(64));
    let (code, told) = workstation.fails(&["--node", &address, "--fingerprint", &wrong, "status"]).await;
    assert!(code == 1 && told.contains("shows another certificate"), "{told}");
    let first = workstation.succeeds(&["--node", &address, "--fingerprint", &api.fingerprint, "status"]).await;
    assert!(first.contains("node-1 ready") && first.contains(&api.fingerprint), "{first}");
    workstation.succeeds(&["--node", &address, "status"]).await;

    // Another certificate at the same place.
    let known = fs::read_to_string(workstation.path("known-nodes")).unwrap();
    fs::write(workstation.path("known-nodes"), known.replace(&api.fingerprint, &wrong)).unwrap();
    let (code, told) = workstation.fails(&["--node", &address, "status"]).await;
    assert!(code == 1 && told.contains(&wrong) && told.contains(&api.fingerprint), "{told}");
}

#[tokio::test]
async fn every_command_is_the_same_from_elsewhere() {
    let (workstation, running, address) = pair(|node| {
        super::upgrades::prepare(node);
        node.write(&format!("{FOLDER}/fsck"), r#"{"result":{"objects":9,"damaged":[],"repaired":0}}"#);
        node.write("/proc/stat", "btime 1795600000\n");
        node.write(&pod_file("web"), &manifest("web", "localhost/c:1"));
    })
    .await;
    let Running { node, .. } = &running;
    node.wait_for("the pod", |status| super::shown(status) == ["web Running c running 0"]).await;
    let root = node.path("/").display().to_string();
    for command in [
        &["status"][..],
        &["releases"],
        &["releases", "--json"],
        &["settings", "show"],
        &["settings", "show", "--origins"],
        &["settings", "show", "--json"],
        &["settings", "get", "api.listen"],
        &["settings", "set", "hostname", "node-7", "--dry-run"],
        &["settings", "set", "nonsense", "1"],
        &["settings", "confirm"],
        &["settings", "schema"],
        &["clusters"],
        &["clusters", "--json"],
        &["images"],
        &["images", "--json"],
        &["doctor"],
        &["doctor", "--json"],
        &["fsck"],
        &["fsck", "--json"],
        &["pin", "no-such-release"],
        &["upgrade", "--check", "--json"],
    ] {
        let elsewhere = workstation.run(&[&["--node", &address], command].concat()).await;
        let mut here = Command::new(env!("CARGO_BIN_EXE_ballast"));
        here.args(["--root", &root]).args(command).stdin(Stdio::null());
        let here = here.output().await.unwrap();
        let told = |output: &Output| {
            let [out, error] =
                [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
            (output.status.code(), out, error)
        };
        assert_eq!(told(&elsewhere), told(&here), "{command:?}");
    }
    // But for the room on the disk, which others use, too.
    let status: Status =
        serde_json::from_str(&workstation.succeeds(&["--node", &address, "status", "--json"]).await).unwrap();
    let here = node.status().await.unwrap();
    assert_eq!(Status { disk: here.disk, ..status }, here);
    assert!(workstation.succeeds(&["--node", &address, "metrics"]).await.contains("\nballast_ready 1\n"));
    let said = workstation.succeeds(&["--node", &address, "settings", "set", "hostname", "node-9"]).await;
    assert!(said.contains("node-9"), "{said}");
    assert!(node.read(FILE).contains("hostname = \"node-9\""));
    // What needs the node's own files says so.
    let (code, told) = workstation.fails(&["--node", &address, "boot"]).await;
    assert!(code == 1 && told.contains("works on the node itself only"), "{told}");
}

#[tokio::test]
async fn several_nodes_are_a_table_and_who_does_not_answer_is_in_it() {
    let (workstation, running, address) = pair(|_| {}).await;
    let nobody = free_address();
    let both = format!("{address},{nobody}");
    let output = workstation.run(&["--node", &both, "status"]).await;
    let text = String::from_utf8(output.stdout).unwrap();
    let row = |node: &str| text.lines().find(|line| line.starts_with(node)).unwrap_or_default().to_owned();
    assert!(row(&address).contains("node-1") && row(&nobody).contains("no answer"), "{text}");
    assert!(text.contains(&format!("! {nobody}: connecting to {nobody}")), "{text}");
    assert_eq!(output.status.code(), Some(1));
    let (code, told) = workstation.fails(&["--node", &both, "upgrade"]).await;
    assert!(code == 1 && told.contains("takes one node at a time, and these are 2"), "{told}");
    drop(running);
}

#[tokio::test]
async fn each_role_is_refused_what_is_not_its_own() {
    let (workstation, running, address) = pair(super::upgrades::prepare).await;
    let table: [(&[&str], [bool; 3]); 9] = [
        (&["status"], [true, true, true]),
        (&["settings", "show"], [false, true, true]),
        (&["images"], [true, true, true]),
        (&["pin", "20261121.1"], [false, true, true]),
        (&["settings", "set", "update.auto", "false"], [false, true, true]),
        (&["settings", "set", "api.revoked_serials", "1"], [false, false, true]),
        (&["settings", "unset", "api.revoked_serials"], [false, false, true]),
        (&["settings", "apply", "FILE", "--dry-run"], [false, false, true]),
        (&["settings", "edit"], [false, false, true]),
    ];
    let file = workstation.path("settings.toml");
    fs::write(&file, running.node.read(FILE)).unwrap();
    for (command, allowed) in table {
        for (role, is_allowed) in ["reader", "operator", "admin"].into_iter().zip(allowed) {
            workstation.is(&format!("an-{role}"));
            let command: Vec<&str> =
                command.iter().map(|word| if *word == "FILE" { file.to_str().unwrap() } else { word }).collect();
            let mut asked = workstation.command(&[&["--node", &address][..], &command].concat());
            // An editor that changes nothing.
            let output = asked.env("EDITOR", "true").output().await.unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.success(), is_allowed, "{role} {command:?}: {told}");
            assert!(is_allowed || told.contains("needs the role"), "{role} {command:?}: {told}");
        }
    }
}

#[tokio::test]
async fn who_has_no_right_certificate_is_refused() {
    let (workstation, running, address) = pair(|_| {}).await;
    let known = authority(&workstation.path("ca/ca-key.pem"));
    let stranger = authority(Path::new("/nowhere"));
    let certificate = |name: &str, organisation: &str, from: i32, until: i32, signed_by: &client::Authority| {
        Certificate::new(name, organisation, (from, until), signed_by)
    };
    let good = certificate("good", "ballast:reader", 2020, 2100, &known);
    assert!(exchange(&address, Some(&good), "GET", "/v1/status", "").await.unwrap().starts_with("HTTP/1.1 200 "));
    for (what, certificate) in [
        ("none", None),
        ("expired", Some(certificate("a", "ballast:admin", 2020, 2021, &known))),
        ("of the future", Some(certificate("a", "ballast:admin", 2099, 2100, &known))),
        ("of a foreign authority", Some(certificate("a", "ballast:admin", 2020, 2100, &stranger))),
        ("for servers", Some(Certificate::for_servers("a", "ballast:admin", &known))),
        ("signed by itself", Some(Certificate::by_itself("a", "ballast:admin"))),
    ] {
        let answer = exchange(&address, certificate.as_ref(), "GET", "/v1/status", "").await;
        assert!(answer.is_none(), "{what}: {answer:?}");
    }
    for (what, organisation) in [("no role", "none"), ("nearly a role", "ballast:admins")] {
        let one = certificate("a", organisation, 2020, 2100, &known);
        let answer = exchange(&address, Some(&one), "GET", "/v1/status", "").await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("names no role"), "{what}: {answer}");
    }
    // TLS 1.2 is not spoken, plain HTTP is not answered.
    assert!(handshake(&address, Some(&good), false).await.is_some());
    assert!(handshake(&address, Some(&good), true).await.is_none());
    let mut plain = TcpStream::connect(&address).await.unwrap();
    plain.write_all(b"GET /v1/status HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(SOON, plain.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.windows(4).any(|four| four == b"HTTP"), "{answer:?}");
    drop(running);
}

#[tokio::test]
async fn what_is_revoked_is_so_at_once_and_for_running_streams() {
    let script = "#!/bin/sh\necho one\nexec sleep 600\n";
    let (workstation, running, address) = pair(|node| program(node, "/usr/bin/journalctl", script)).await;
    let Running { node, .. } = &running;
    workstation.is("an-operator");
    let mut follows = workstation.command(&["--node", &address, "logs", "-f"]);
    let mut follows = follows.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follows.stdout.take().unwrap()).lines();
    assert_eq!(timeout(SOON, lines.next_line()).await.unwrap().unwrap().as_deref(), Some("one"));

    let settings = node.read(FILE);
    let revoke = format!("{settings}revoked_serials = [\"{}\"]\n", workstation.serial("an-operator"));
    node.write(FILE, &revoke);
    let ended = timeout(SOON, follows.wait()).await.expect("the stream goes on").unwrap();
    assert_eq!(ended.code(), Some(1));
    let (code, told) = workstation.fails(&["--node", &address, "status"]).await;
    assert!(code == 1 && told.contains("is revoked (api.revoked_serials)"), "{told}");
    workstation.is("an-admin");
    workstation.succeeds(&["--node", &address, "status"]).await;

    node.write(FILE, &format!("{settings}revoked_roles = [\"admin\"]\n"));
    let mut told = String::new();
    for _ in 0..100 {
        told = workstation.fails(&["--node", &address, "status"]).await.1;
        if told.contains("the role admin is revoked") {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert!(told.contains("the role admin is revoked (api.revoked_roles)"), "{told}");
    // A slip closes it for everybody.
    node.write(FILE, &format!("{settings}revoked_roles = [\"admins\"]\n"));
    node.wait_for("it to close", |status| status.api.is_none()).await;
    assert!(TcpStream::connect(&address).await.is_err());
    // And nothing listens without it.
    node.write(FILE, "");
    node.wait_for("settings without it", |status| status.settings.problems.is_empty()).await;
    assert!(TcpStream::connect(&address).await.is_err());
}

fn program(node: &Node, path: &str, script: &str) {
    node.write(path, script);
    fs::set_permissions(node.path(path), fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn large_slow_and_many_requests_are_limited() {
    let (workstation, running, address) = pair(|_| {}).await;
    let known = authority(&workstation.path("ca/ca-key.pem"));
    let good = Certificate::new("good", "ballast:admin", (2020, 2100), &known);

    let mut stream = handshake(&address, Some(&good), false).await.unwrap();
    let head = format!("POST /v1/operations HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", 1 << 30);
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.expect("1 GB is waited for");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("larger than 1048576 bytes"), "{answer}");

    // Without a length in front: as much as is taken.
    let mut stream = handshake(&address, Some(&good), false).await.unwrap();
    let head = "POST /v1/operations HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = [b"10000\r\n".as_slice(), &[b'x'; 0x10000], b"\r\n"].concat();
    let sent = async {
        for _ in 0..64 {
            if stream.write_all(&piece).await.is_err() {
                break;
            }
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    let answer = timeout(SOON, sent).await.expect("an endless body is waited for");
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413 "), "{answer}");

    let mut stream = handshake(&address, Some(&good), false).await.unwrap();
    let long = format!("GET /v1/status HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    let _ = stream.write_all(long.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut answer)).await.unwrap();
    assert!(!String::from_utf8_lossy(&answer).contains(" 200 "));

    // A head that comes byte by byte.
    let mut stream = handshake(&address, Some(&good), false).await.unwrap();
    let slow = async {
        for byte in b"GET /v1/status HTTP/1.1\r\nHost: a\r\n\r\n" {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            sleep(Duration::from_millis(500)).await;
        }
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    let answer = timeout(SOON * 2, slow).await.expect("slow headers are waited for");
    assert!(!answer.contains(" 200 "), "{answer}");

    // A thousand that say nothing.
    let mut silent = Vec::new();
    for number in 0..1000 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        if number % 2 == 0 {
            let _ = stream.write_all(&[22, 3, 1, 2]).await;
        }
        silent.push(stream);
    }
    let answer = timeout(SOON, exchange(&address, Some(&good), "GET", "/v1/status", "")).await;
    assert!(
        answer.is_ok_and(|answer| answer.is_some_and(|answer| answer.contains(" 200 "))),
        "silent ones keep others out"
    );
    let mut ended = 0;
    for stream in &mut silent {
        let read = timeout(SOON, stream.read(&mut [0; 64])).await;
        ended += usize::from(matches!(read, Ok(Ok(_) | Err(_))));
    }
    assert_eq!(ended, silent.len());
    workstation.succeeds(&["--node", &address, "status"]).await;
    assert!(running.node.status().await.unwrap().ready);
}

#[tokio::test]
async fn one_certificate_has_only_so_many_connections() {
    let (workstation, running, address) = pair(|_| {}).await;
    let known = authority(&workstation.path("ca/ca-key.pem"));
    let good = Certificate::new("good", "ballast:admin", (2020, 2100), &known);
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(handshake(&address, Some(&good), false).await.unwrap());
    }
    let answer = exchange(&address, Some(&good), "GET", "/v1/status", "").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("8 connections of this certificate"), "{answer}");
    // Others come in.
    workstation.succeeds(&["--node", &address, "status"]).await;
    drop(open);
    let free = async {
        while !exchange(&address, Some(&good), "GET", "/v1/status", "").await.unwrap().contains(" 200 ") {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(SOON, free).await.expect("places are not given back");
    drop(running);
}

#[tokio::test]
async fn logs_are_followed_until_who_asked_goes_away() {
    let script = "#!/bin/sh\necho $$ >\"${0%/usr/bin/journalctl}/pid\"\necho \"$@\"\nexec sleep 600\n";
    let (workstation, running, address) = pair(|node| {
        program(node, "/usr/bin/journalctl", script);
        node.write(&pod_file("web"), &manifest("web", "localhost/c:1"));
    })
    .await;
    let Running { node, .. } = &running;
    node.wait_for("the pod", |status| super::shown(status) == ["web Running c running 0"]).await;
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
    let (code, told) = workstation.fails(&["--node", &address, "logs", "web"]).await;
    assert!(code == 1 && told.contains("needs the role operator"), "{told}");
}

#[tokio::test]
async fn who_goes_away_cancels_what_was_asked_for() {
    let (workstation, running, address) = pair(|node| {
        super::upgrades::prepare(node);
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
    let (code, told) = workstation.fails(&["--node", &address, "reboot"]).await;
    assert!(code == 5 && told.contains("fsck is running"), "{told}");
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
        super::upgrades::prepare(node);
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
