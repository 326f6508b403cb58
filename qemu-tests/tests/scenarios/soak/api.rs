//! A way in: the real client on the host, over a forwarded port, from the authority to the reset.

mod going_down;
mod shell;

use std::io::Write;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use qemu_vm::credentials::Credential;
use qemu_vm::deadline::Deadline;
use qemu_vm::lab::{Lab, Options};
use qemu_vm::node::{Node, READY};
use qemu_vm::qemu::machine::{Network, OnReboot};
use qemu_vm::scenario::{Cases, Scenario};
use qemu_vm::tools::Tools;
use serde_json::Value;

/// A pod with the node's programs in it: the image's own container image has none.
const POD: &str = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"tools"},"spec":{
  "volumes":[{"name":"usr","hostPath":{"path":"/usr"}},{"name":"lib","hostPath":{"path":"/usr/lib"}},{"name":"lib64","hostPath":{"path":"/usr/lib64"}}],
  "containers":[{"name":"c","image":"localhost/ballast/canary:1","command":["/usr/bin/sleep","100000"],"env":[{"name":"OF","value":"the-container"},{"name":"PATH","value":"/usr/bin"}],
  "volumeMounts":[{"name":"usr","mountPath":"/usr"},{"name":"lib","mountPath":"/lib"},{"name":"lib64","mountPath":"/lib64"}]}]}}"#;

/// Somebody with the image's own `ballast`, and a folder.
struct Workstation {
    ballast: PathBuf,
    folder: PathBuf,
    address: Ipv4Addr,
    tools: Tools,
}

impl Workstation {
    fn new(lab: &Lab, folder: PathBuf, address: Ipv4Addr) -> Self {
        Self { ballast: lab.image.root.join("usr/bin/ballast"), folder, address, tools: lab.tools.clone() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.ballast);
        command.env("XDG_CONFIG_HOME", &self.folder).args(arguments).stdin(Stdio::null());
        command
    }

    fn on_node(&self, arguments: &[&str]) -> Command {
        let address = self.address.to_string();
        self.command(&[&["--node", &*address], arguments].concat())
    }

    /// What a command prints that ends well.
    fn says(&self, arguments: &[&str]) -> Result<String> {
        let output = self.on_node(arguments).output().context("running ballast")?;
        told(arguments, &output, 0).map(|(out, _)| out)
    }

    /// What a command complains of that ends with 1.
    fn fails(&self, arguments: &[&str]) -> Result<String> {
        let output = self.on_node(arguments).output().context("running ballast")?;
        told(arguments, &output, 1).map(|(_, error)| error)
    }

    fn is(&self, name: &str) -> Result<()> {
        let text = format!(
            "[contexts.default]\ncertificate = \"certificates/{name}.pem\"\nkey = \"certificates/{name}.key\"\n"
        );
        std::fs::write(self.folder.join("ballast/config.toml"), text).context("choosing who one is")
    }
}

fn told(arguments: &[&str], output: &Output, code: i32) -> Result<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    ensure!(output.status.code() == Some(code), "{arguments:?} ended with {}: {out}{error}", output.status);
    Ok((out, error))
}

struct Way {
    there: Workstation,
    node: Node,
}

type Case = (&'static str, fn(&mut Way) -> Result<()>);

const CASES: [Case; 9] = [
    ("A01 first contact", first_contact),
    ("A01 every look", looks),
    ("A02 a command in a container", exec),
    ("A02 a client that vanishes", vanishes),
    ("A04 a bundle", bundle),
    ("A05 later, and not after all", going_down::scheduled),
    ("A06 a shell that is forbidden", shell::forbidden),
    ("A01 roles", roles),
    ("A01 revoked", revoked),
];

#[test]
fn a01_a02_a03_a04_a05_a06_operators_reach_a_node_from_elsewhere() {
    Scenario::run("a01_to_a04", |scenario| {
        let id = std::process::id();
        let address = Ipv4Addr::new(127, (id >> 16) as u8, (id >> 8) as u8, (id | 1) as u8);
        let there = Workstation::new(&scenario.lab, scenario.scratch().join("config"), address);
        let output = there.command(&["ca", "init"]).output().context("running ballast")?;
        let (settings, _) = told(&["ca", "init"], &output, 0)?;
        for role in ["admin", "operator", "reader"] {
            let output = there.command(&["ca", "issue", role, "--role", role, "--days", "1"]).output()?;
            told(&["ca", "issue"], &output, 0)?;
        }
        there.is("admin")?;
        let disk = scenario.disk()?;
        let settings = format!("{settings}[kernel.sysctl]\n\"vm.swappiness\" = 11\n");
        let options = Options {
            network: Network::Api(address),
            disk: Some(disk),
            on_reboot: OnReboot::Exit,
            credentials: vec![Credential::new("ballast.settings", settings)?],
            ..Options::default()
        };
        let mut node = scenario.start(&options)?;
        node.ready(Deadline::after(READY))?;
        listens(&mut node)?;
        let mut way = Way { there, node };
        let mut cases = Cases::default();
        for (name, case) in CASES {
            cases.note(name, case(&mut way));
        }
        let Way { there, node } = way;
        there.is("admin")?;
        going_down::goes(&there, node)?;
        let mut node = scenario.start(&options)?;
        node.ready(Deadline::after(READY))?;
        cases.note("A05 the pods end first", going_down::has_ended(&mut node));
        listens(&mut node)?;
        cases.note("A06 the next boot allows it", shell::allowed_again(&there));
        let before = node.guest.ask("cat /etc/machine-id")?;
        there.says(&["reset", "--yes", "--keep", "identity"])?;
        node.reboot_to_exit()?;
        // As it was given at the first boot, but for the settings: a reset forgets what that boot found.
        let mut node = scenario.start(&Options { credentials: Vec::new(), ..options })?;
        node.ready(Deadline::after(READY))?;
        cases.note("A03 a reset", is_new(&mut node, &before));
        cases.end()?;
        node.power_off()
    });
}

/// Waits until the API does.
fn listens(node: &mut Node) -> Result<()> {
    let listens = |node: &mut Node| Ok::<_, anyhow::Error>(api(node)?["address"].is_string().then_some(()));
    let found = Deadline::secs(60).poll(Duration::from_secs(1), || listens(node))?;
    found.context("the API does not listen")
}

/// `api` of the status.
fn api(node: &mut Node) -> Result<Value> {
    let status: Value = serde_json::from_str(&node.guest.ask("ballast status --json || :")?)?;
    Ok(status["api"].clone())
}

fn first_contact(way: &mut Way) -> Result<()> {
    let fingerprint = api(&mut way.node)?["fingerprint"].as_str().unwrap_or_default().to_owned();
    let told = way.there.fails(&["status"])?;
    ensure!(told.contains("was never spoken to") && told.contains(&fingerprint), "it is believed: {told}");
    let told = way.there.says(&["--fingerprint", &fingerprint, "status"])?;
    ensure!(told.contains("ready") && told.contains(&fingerprint), "{told}");
    way.there.says(&["status"])?;
    // Without a certificate, and with an older TLS, nobody is answered.
    let place = format!("{}:9600", way.there.address);
    let (certificate, key) = (
        way.there.folder.join("ballast/certificates/admin.pem"),
        way.there.folder.join("ballast/certificates/admin.key"),
    );
    let pair = ["-cert".into(), certificate.display().to_string(), "-key".into(), key.display().to_string()];
    for (more, expected) in
        [(&pair[..], true), (&[][..], false), (&[&pair[..], &["-tls1_2".to_owned()]].concat()[..], false)]
    {
        let mut openssl = way.there.tools.openssl();
        openssl.args(["s_client", "-quiet", "-ign_eof", "-connect", &place]).args(more).stdin(Stdio::piped());
        let mut child = openssl.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let asked =
            child.stdin.take().context("it has an input")?.write_all(b"GET /v1/status HTTP/1.1\r\nHost: a\r\n\r\n");
        let output = child.wait_with_output()?;
        let is_answered = String::from_utf8_lossy(&output.stdout).contains("HTTP/1.1 200");
        ensure!(is_answered == expected, "{more:?} ({asked:?}): {output:?}");
    }
    Ok(())
}

fn looks(way: &mut Way) -> Result<()> {
    for (arguments, expected) in [
        (&["ps"][..], "containerd.service"),
        (&["ps", "-n", "500"], "systemd"),
        (&["net"], "10.0.2.15/24"),
        (&["net"], "10.0.2.2"),
        (&["disk"], "vda"),
        (&["disk"], "/var/lib/containerd"),
        (&["events", "-n", "500"], "ballast"),
        (&["logs", "containerd", "-n", "5"], "containerd"),
        (&["logs", "--grep", "api:", "-n", "3"], "api: admin"),
        (&["dmesg"], "Linux version"),
        (&["images"], "localhost/ballast/canary:1"),
        (&["images", "collect"], ""),
        (&["releases"], "booted"),
        (&["settings", "show"], "swappiness"),
    ] {
        let said = way.there.says(arguments)?;
        ensure!(said.contains(expected), "{arguments:?} does not say {expected:?}: {said}");
    }
    let ps: Value = serde_json::from_str(&way.there.says(&["ps", "--json"])?)?;
    let of_canary = |owner: &Value| owner["name"].as_str().is_some_and(|name| name.contains("canary"));
    let owners = ps["owners"].as_array().context("there are owners")?;
    ensure!(owners.iter().any(of_canary), "no pod is called by its name: {owners:?}");
    Ok(())
}

fn exec(way: &mut Way) -> Result<()> {
    way.node.guest.ask(&format!("echo '{POD}' >/var/tmp/pod && mv /var/tmp/pod /var/lib/ballast/pods/tools.yaml"))?;
    way.node.status_when("the pod runs", 90, |status| status.runs("tools"))?;
    let arguments = ["exec", "tools", "--", "sh", "-c", "echo out $OF; echo err >&2; exit 7"];
    let output = way.there.on_node(&arguments).output()?;
    let (out, error) = told(&arguments, &output, 7)?;
    ensure!(out == "out the-container\n" && error == "err\n", "{out:?} {error:?}");
    // Much, with an end.
    let long = "0123456789abcdef\n".repeat(20_000);
    let arguments = ["exec", "-i", "tools", "-c", "c", "--", "cat"];
    let mut child = way.there.on_node(&arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (mut stdin, text) = (child.stdin.take().context("it has an input")?, long.clone());
    let writing = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let (out, _) = told(&arguments, &child.wait_with_output()?, 0)?;
    writing.join().map_err(|_| anyhow::anyhow!("writing panicked"))??;
    ensure!(out == long, "{} bytes came back of {}", out.len(), long.len());
    // A terminal, with the size of this one: script(1) makes one.
    let size = way.node.guest.ask("ballast exec tools -- sh -c 'test -t 0 || echo none'")?;
    ensure!(size.trim() == "none", "there is a terminal: {size}");
    let inner = format!(
        "stty rows 33 columns 77; {} --node {} exec -it tools -- sh -c 'sleep 2; stty size'",
        way.there.ballast.display(),
        way.there.address
    );
    let mut command = way.there.tools.command("script");
    command.env("XDG_CONFIG_HOME", &way.there.folder).args(["-qec", &inner, "/dev/null"]);
    let (out, _) = told(&["script"], &command.stdin(Stdio::null()).output()?, 0)?;
    ensure!(out.contains("33 77"), "the terminal's size is {out:?}");
    let told = way.there.fails(&["exec", "tools", "--", "/no/such"])?;
    ensure!(told.contains("starting the command"), "{told}");
    ensure!(way.node.guest.ask("ls /run/ballast/exec | wc -l")?.trim() == "0", "a command's folder is left");
    Ok(())
}

fn vanishes(way: &mut Way) -> Result<()> {
    let runs = |node: &mut Node| -> Result<bool> {
        Ok(node.guest.ask("grep -slz ^3141[5]$ /proc/[0-9]*/cmdline | grep -c . || :")?.trim() != "0")
    };
    let mut child =
        way.there.on_node(&["exec", "-i", "tools", "--", "sleep", "31415"]).stdin(Stdio::piped()).spawn()?;
    let begun = Deadline::secs(30)
        .poll(Duration::from_millis(500), || Ok::<_, anyhow::Error>(runs(&mut way.node)?.then_some(())))?;
    child.kill()?;
    child.wait()?;
    ensure!(begun.is_some(), "the command does not run");
    let over = Deadline::secs(60)
        .poll(Duration::from_secs(1), || Ok::<_, anyhow::Error>((!runs(&mut way.node)?).then_some(())))?;
    ensure!(over.is_some(), "the command goes on without its client");
    // An agent that is killed ends it at its next start.
    let mut child = way.there.on_node(&["exec", "tools", "--", "sleep", "31415"]).stderr(Stdio::null()).spawn()?;
    let begun = Deadline::secs(30)
        .poll(Duration::from_millis(500), || Ok::<_, anyhow::Error>(runs(&mut way.node)?.then_some(())))?;
    ensure!(begun.is_some(), "the command does not run");
    way.node.guest.ask("systemctl kill --signal=KILL ballast.service")?;
    child.wait()?;
    way.node.agent_is_back(60)?;
    listens(&mut way.node)?;
    let over = Deadline::secs(60)
        .poll(Duration::from_secs(1), || Ok::<_, anyhow::Error>((!runs(&mut way.node)?).then_some(())))?;
    ensure!(over.is_some(), "the command goes on without its agent");
    Ok(())
}

fn bundle(way: &mut Way) -> Result<()> {
    let file = way.there.folder.join("bundle.tar.zst");
    way.there.says(&["support-bundle", "-o", &file.display().to_string()])?;
    let packed = std::fs::read(&file)?;
    ensure!(packed.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]), "it is no zstd");
    let unpacked = way.there.folder.join("bundle.tar");
    let output = way.there.tools.command("zstd").arg("-dqo").args([&unpacked, &file]).output()?;
    told(&["zstd"], &output, 0)?;
    let (names, _) = told(&["tar"], &way.there.tools.command("tar").arg("-tf").arg(&unpacked).output()?, 0)?;
    for name in ["status.json", "journal/this-boot.txt", "network/addresses.json", "disks/blocks.json"] {
        ensure!(names.contains(&format!("ballast-support/{name}")), "{name} is not in it: {names}");
    }
    Ok(())
}

fn roles(way: &mut Way) -> Result<()> {
    way.there.is("reader")?;
    for arguments in
        [&["upgrade"][..], &["reboot"], &["settings", "set", "hostname", "x"], &["exec", "tools", "--", "id"]]
    {
        let told = way.there.fails(arguments)?;
        ensure!(told.contains("needs the role"), "{arguments:?}: {told}");
    }
    way.there.is("operator")?;
    for arguments in [&["exec", "tools", "--", "id"][..], &["support-bundle", "-o", "/dev/null"], &["reset", "--yes"]] {
        let told = way.there.fails(arguments)?;
        ensure!(told.contains("needs the role admin"), "{arguments:?}: {told}");
    }
    way.there.is("admin")
}

fn revoked(way: &mut Way) -> Result<()> {
    let issued = std::fs::read_to_string(way.there.folder.join("ballast/ca/issued.txt"))?;
    let line = issued.lines().find(|line| line.ends_with(" reader")).context("the reader's is listed")?;
    let serial = line.split(' ').next().unwrap_or_default();
    way.there.says(&["settings", "set", "api.revoked_serials", &format!("[\"{serial}\"]")])?;
    way.there.is("reader")?;
    let told = way.there.fails(&["status"])?;
    ensure!(told.contains("is revoked"), "{told}");
    way.there.is("admin")
}

fn is_new(node: &mut Node, machine_id: &str) -> Result<()> {
    let status = node.status_when("its own pod runs", 120, |status| status.runs("canary"))?;
    ensure!(status.settings.sources.is_empty(), "there are settings: {:?}", status.settings);
    ensure!(api(node)?.is_null(), "the API is there");
    ensure!(node.guest.ask("cat /etc/machine-id")? == *machine_id, "it is another node");
    let left = node.guest.ask("ls /var/lib/ballast /var/lib/ballast/pods")?;
    for gone in ["settings.toml", "tools.yaml", "sources", "reset"] {
        ensure!(!left.lines().any(|name| name == gone), "{gone} is left: {left}");
    }
    let kept = node.guest.ask("ls /var/lib/ballast/api")?;
    ensure!(kept.contains("server.pem"), "the API's key is gone: {kept}");
    ensure!(node.guest.ask("cat /proc/sys/vm/swappiness")?.trim() != "11", "a setting is left");
    Ok(())
}
