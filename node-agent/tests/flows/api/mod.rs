//! The API, over loopback: the agent serves it, the client for workstations asks.

mod bundle;
mod client;
mod exec;
mod going_down;
mod kubeconfig;
mod limits;
mod logs;
mod rights;
mod shell;

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    process::{Output, Stdio},
    time::Duration,
};

use ballast::{
    report::status::{Api, Status},
    settings::model::FILE,
};
use tokio::{process::Command, time::timeout};

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
            "[contexts.default]\ncertificate = \"certificates/{name}.pem\"\nkey = \"certificates/{name}.key\"\n"
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

/// Waits until an agent that was started anew listens: the one before it may answer on its own socket for a moment.
async fn listens(address: &str) {
    let listens = async {
        while tokio::net::TcpStream::connect(address).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, listens).await.unwrap();
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

fn program(node: &Node, path: &str, script: &str) {
    node.write(path, script);
    fs::set_permissions(node.path(path), fs::Permissions::from_mode(0o755)).unwrap();
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
        &["images", "remove", "docker.io/none:1"],
        &["images", "collect"],
        &["images", "pull", "docker.io/none:1", "--json"],
        &["images", "remove", "docker.io/none:1", "--json"],
        &["net"],
        &["net", "--json"],
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
