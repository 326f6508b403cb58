//! `ballast settings`: shown, asked, changed, tried dry, refused; and what a change starts again.

use anyhow::{Context, Result, ensure};
use qemu_vm::containers;
use qemu_vm::lab::Options;
use qemu_vm::node::Node;
use qemu_vm::qemu::machine::Network;
use qemu_vm::scenario::{Cases, Scenario};
use qemu_vm::settings::{Said, apply, exit, get, set};

use super::{eventually, hostname, processes, secrets_are_kept, sysctl};

const FILE: &str = "/var/lib/ballast/settings.toml";
const BACKLOG: &str = "kernel.sysctl.\"net.core.somaxconn\"";
const BRIDGE: &str = "kernel.sysctl.\"net.bridge.bridge-nf-call-iptables\"";
const SECRET: &str = "s3cret-that-was-typed";

type Case = (&'static str, fn(&mut Node) -> Result<()>);

const CASES: [Case; 13] = [
    ("a node that nobody configured", untouched),
    ("set, get, unset", set_get_unset),
    ("what is not right is refused, and changes nothing", refused),
    ("typed wrongly", typed_wrongly),
    ("a dry run changes nothing", dry_run),
    ("a document, and the same again", document),
    ("only what changed is started again", only_what_changed),
    ("what needs a reboot says so", needs_a_reboot),
    ("edit", edit),
    ("schema", schema),
    ("for programs", for_programs),
    ("another runtime", another_runtime),
    ("secrets are kept", secrets),
];

#[test]
fn settings_are_shown_changed_and_refused() {
    Scenario::run("settings_commands", |scenario| {
        let network = Network::Named(super::defaults::DHCP_NAME);
        let mut node = scenario.healthy(&Options { smp: 1, network, ..Options::default() })?;
        let mut cases = Cases::default();
        super::defaults::hold(&mut node, &mut cases);
        for (name, case) in CASES {
            cases.note(name, case(&mut node));
        }
        cases.end()?;
        node.power_off()
    });
}

/// F01 once more, from the operator's side.
fn untouched(node: &mut Node) -> Result<()> {
    let status = node.status()?;
    let settings = &status.settings;
    ensure!(settings.sources.is_empty() && settings.problems.is_empty() && settings.trial.is_none(), "{settings:?}");
    let text = Said::of(&mut node.guest, &["show"])?.done()?;
    ensure!(text.contains("[update]") && text.contains("auto = false"), "what holds by itself is not shown: {text}");
    let rendered =
        node.guest.ask("find /etc/systemd /etc/containerd /etc/ballast -name '*ballast*' -type f 2>/dev/null || :")?;
    ensure!(rendered.is_empty(), "without settings there are {rendered}");
    Ok(())
}

fn set_get_unset(node: &mut Node) -> Result<()> {
    let guest = &mut node.guest;
    let before = sysctl(guest, "net.core.somaxconn")?;
    // Of a module that nothing has loaded yet.
    set(guest, BRIDGE, "0")?;
    ensure!(sysctl(guest, "net.bridge.bridge-nf-call-iptables")? == "0", "{BRIDGE} is not set");
    let said = set(guest, BACKLOG, "1234")?;
    ensure!(said.contains("+") && said.contains("1234"), "there is no diff: {said}");
    ensure!(!said.contains('\u{1b}'), "it is coloured although nobody looks: {said:?}");
    // It answers when it is done.
    ensure!(sysctl(guest, "net.core.somaxconn")? == "1234", "the kernel still has {before}");
    ensure!(get(guest, BACKLOG)? == "1234", "asked for it, it is {}", get(guest, BACKLOG)?);
    let file = guest.ask(&format!("stat --format='%a %U' {FILE}"))?;
    ensure!(file == "600 root", "{FILE} is {file}");
    let again = Said::of(guest, &["set", BACKLOG, "1234"])?.done()?;
    ensure!(!again.contains("+\"net"), "the same again is a change: {again}");

    set(guest, "hostname", "renamed")?;
    ensure!(hostname(guest)? == "renamed", "the name is {}", hostname(guest)?);
    ensure!(node.status()?.node.hostname == "renamed", "the status has another name");
    let guest = &mut node.guest;
    Said::of(guest, &["unset", "hostname"])?.done()?;
    let name = hostname(guest)?;
    ensure!(name == super::defaults::DHCP_NAME, "without a name in the settings it is called {name}, not as DHCP says");
    let text = guest.ask(&format!("cat {FILE}"))?;
    ensure!(!text.contains("hostname") && text.contains("1234"), "unset leaves {text}");
    Said::of(guest, &["unset", "kernel"])?.done()?;
    let after = sysctl(guest, "net.core.somaxconn")?;
    ensure!(after == before, "taken out, it is {after}, and was {before}");
    Ok(())
}

fn refused(node: &mut Node) -> Result<()> {
    let guest = &mut node.guest;
    set(guest, BACKLOG, "1111")?;
    let before = guest.ask(&format!("sha256sum {FILE}"))?;
    let table: [(&[&str], &str); 5] = [
        (&["set", "hostnam", "a"], "did you mean hostname"),
        (&["set", "update.auto", "perhaps"], "true"),
        (&["set", "kernel.sysctl.\"kernel.core_pattern\"", "|/bin/harm"], "core_pattern"),
        (&["set", "time.zone", "Europe/Belrin"], "zone"),
        (&["unset", "hostnam"], "did you mean hostname"),
    ];
    for (arguments, why) in table {
        Said::of(guest, arguments)?.ends(exit::REFUSED, &[why])?;
    }
    // One line that is wrong keeps all of the document out.
    let document = "hostname = \"refused\"\n[update]\nauto = 7\n";
    Said::reading(guest, document, &["apply", "-"])?.ends(exit::REFUSED, &["3:", "update.auto"])?;
    ensure!(guest.ask(&format!("sha256sum {FILE}"))? == before, "what was refused changed the file");
    ensure!(hostname(guest)? != "refused", "what was refused applies");
    ensure!(node.status()?.settings.problems.is_empty(), "what was refused is in the status");
    Ok(())
}

fn typed_wrongly(node: &mut Node) -> Result<()> {
    for arguments in [&["set", "hostname"][..], &["frobnicate"], &["apply"], &["apply", "-", "--try", "soon"]] {
        let said = Said::of(&mut node.guest, arguments)?;
        ensure!(said.status == exit::USAGE, "{arguments:?} ended with {}: {}", said.status, said.warning);
    }
    let said = Said::of(&mut node.guest, &["apply", "/nowhere.toml"])?;
    said.ends(exit::FAILED, &["/nowhere.toml"]).map(drop)
}

fn dry_run(node: &mut Node) -> Result<()> {
    let guest = &mut node.guest;
    let (before, name) = (guest.ask(&format!("sha256sum {FILE}"))?, hostname(guest)?);
    let said = Said::of(guest, &["set", "hostname", "dry", "--dry-run"])?.done()?;
    ensure!(said.contains("+hostname = \"dry\""), "a dry run shows no diff: {said}");
    Said::reading(guest, "hostname = \"dry\"\n", &["apply", "-", "--dry-run"])?.done()?;
    Said::reading(guest, "hostnam = \"dry\"\n", &["apply", "-", "--dry-run"])?.ends(exit::REFUSED, &["hostname"])?;
    ensure!(guest.ask(&format!("sha256sum {FILE}"))? == before, "a dry run changed the file");
    ensure!(hostname(guest)? == name, "a dry run renamed the node");
    Ok(())
}

fn document(node: &mut Node) -> Result<()> {
    let guest = &mut node.guest;
    let document = "# Kept.\nhostname = \"documented\"\n\n[kernel.sysctl]\n\"net.core.somaxconn\" = 2222\n";
    apply(guest, document)?;
    ensure!(guest.ask(&format!("cat {FILE}"))? == document.trim_end(), "it is not there as it was written");
    ensure!(hostname(guest)? == "documented", "the name is {}", hostname(guest)?);
    let before = guest.ask(&format!("stat --format='%i %Y' {FILE}"))?;
    apply(guest, document)?;
    let after = guest.ask(&format!("stat --format='%i %Y' {FILE}"))?;
    ensure!(before == after, "the same again was written again");
    // One key more, and the comment stays.
    set(guest, "update.auto", "false")?;
    ensure!(guest.ask(&format!("head -n 1 {FILE}"))? == "# Kept.", "the comment is gone");
    // By hand, too: nobody has to be reported.
    guest.ask(&format!("sed -i s/documented/by-hand/ {FILE}"))?;
    eventually(guest, "what is edited by hand applies", "cat /proc/sys/kernel/hostname", |name| name == "by-hand")?;
    Ok(())
}

fn only_what_changed(node: &mut Node) -> Result<()> {
    let guest = &mut node.guest;
    let (before, running) = (processes(guest)?, containers::running(guest)?);
    set(guest, BACKLOG, "3333")?;
    set(guest, "log.level", "debug")?;
    apply_registry(node)?;
    ensure!(processes(&mut node.guest)? == before, "something was started again for a sysctl, a level, a registry");

    set(&mut node.guest, "network.proxy.https", "http://10.0.2.2:3128")?;
    node.status_when("containerd is back with its proxy", 90, |status| status.ready)?;
    let after = processes(&mut node.guest)?;
    ensure!(after[0] == before[0], "the agent started itself again");
    ensure!(after[1] != before[1], "containerd does not know its proxy");
    ensure!(containers::running(&mut node.guest)? == running, "pods were started again for a proxy");
    Said::of(&mut node.guest, &["unset", "network"])?.done()?;
    node.status_when("containerd is back without it", 90, |status| status.ready)?;
    let pid = processes(&mut node.guest)?[1].clone();
    let environment = node.guest.ask(&format!("tr '\\0' '\\n' </proc/{pid}/environ"))?;
    ensure!(!environment.contains("10.0.2.2:3128"), "containerd keeps the proxy: {environment}");
    Ok(())
}

fn apply_registry(node: &mut Node) -> Result<()> {
    let guest = &mut node.guest;
    let document =
        format!("{}\n[[registry]]\nhost = \"r.example\"\nplain_http = true\n", guest.ask(&format!("cat {FILE}"))?);
    apply(guest, &document)?;
    guest.ask("cat /etc/containerd/certs.d/r.example/hosts.toml").context("a registry is there at once")?;
    Said::of(guest, &["unset", "registry.\"r.example\""])?.done()?;
    let gone = guest.shell("test -e /etc/containerd/certs.d/r.example/hosts.toml")?.status != 0;
    ensure!(gone, "the registry that was taken out is still configured");
    Ok(())
}

fn needs_a_reboot(node: &mut Node) -> Result<()> {
    let said = set(&mut node.guest, "kernel.arguments", "[\"mitigations=auto\"]")?;
    ensure!(said.contains("boot"), "that it takes a reboot is not said: {said}");
    node.status_when("the status says so, too", 30, |status| {
        status.ready && status.reasons.iter().any(|reason| reason.contains("kernel.arguments"))
    })?;
    Said::of(&mut node.guest, &["unset", "kernel.arguments"])?.done()?;
    node.status_when("it says so no more", 30, |status| {
        !status.reasons.iter().any(|reason| reason.contains("kernel.arguments"))
    })?;
    Ok(())
}

fn edit(node: &mut Node) -> Result<()> {
    let guest = &mut node.guest;
    // As an operator's editor: it is given a file, and changes it in place.
    let editor = "printf 'sed -i \"s/by-hand/edited/\" \"$1\"\\n' >/run/editor";
    guest.ask(&format!("{editor} && EDITOR='sh /run/editor' ballast settings edit"))?;
    ensure!(hostname(guest)? == "edited", "edited, the name is {}", hostname(guest)?);
    let spoilt = "printf 'echo nonsense >\"$1\"\\n' >/run/editor";
    let output = guest.shell(&format!("{spoilt} && EDITOR='sh /run/editor' ballast settings edit </dev/null"))?;
    ensure!(output.status == exit::REFUSED, "nonsense ended with {}: {}", output.status, output.warning());
    ensure!(hostname(guest)? == "edited", "nonsense applies");
    let output = guest.shell("env -u EDITOR -u VISUAL ballast settings edit")?;
    ensure!(output.status == exit::FAILED, "without an editor it ended with {}", output.status);
    ensure!(output.warning().contains("EDITOR"), "what is missing is not said: {}", output.warning());
    Ok(())
}

fn schema(node: &mut Node) -> Result<()> {
    let text = Said::of(&mut node.guest, &["schema"])?.done()?;
    let schema: serde_json::Value = serde_json::from_str(&text).context("the schema is no JSON")?;
    let has = |key: &str| schema["properties"].get(key).is_some();
    ensure!(has("hostname") && has("registry") && schema.get("$schema").is_some(), "the schema is {text}");
    Ok(())
}

fn for_programs(node: &mut Node) -> Result<()> {
    for arguments in [&["show", "--json"][..], &["get", "hostname", "--json"], &["set", "hostname", "edited", "--json"]]
    {
        let text = Said::of(&mut node.guest, arguments)?.done()?;
        let value: Result<serde_json::Value, _> = serde_json::from_str(&text);
        ensure!(value.is_ok(), "{arguments:?} prints {text}");
    }
    let output = node.guest.shell("ballast settings set hostnam a --json")?;
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).context("a refusal is no JSON")?;
    ensure!(output.status == exit::REFUSED, "a refusal ended with {}", output.status);
    ensure!(value["failed"]["kind"] == "refused", "a refusal is {value}");
    Ok(())
}

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: {name: other}
spec:
  hostNetwork: true
  containers:
    - {name: other, image: \"localhost/ballast/canary:1\", imagePullPolicy: Never,
       volumeMounts: [{name: reported, mountPath: /run/canary}]}
  volumes: [{name: reported, hostPath: {path: /run/other, type: DirectoryOrCreate}}]
";

/// From then on pods are run by crun; what runs is left alone.
fn another_runtime(node: &mut Node) -> Result<()> {
    let running = containers::running(&mut node.guest)?;
    set(&mut node.guest, "runtime.default", "crun")?;
    node.status_when("containerd is back with crun", 90, |status| status.ready)?;
    let place = "/var/lib/ballast/pods/other.yaml";
    node.guest.ask(&format!("cat >{place} <<'EOF'{POD}EOF"))?;
    node.status_when("the pod runs", 120, |status| status.runs("other"))?;
    // crun keeps a container's state in `status`, runc in `state.json`.
    let states = node.guest.ask("ls /run/containerd/runc/k8s.io/*/status")?;
    ensure!(states.lines().count() == 2, "crun runs {states}");
    let now = containers::running(&mut node.guest)?;
    ensure!(running.iter().all(|one| now.contains(one)), "pods that ran were started again: {running:?}, {now:?}");
    node.guest.ask(&format!("rm {place}"))?;
    node.status_when("the pod is gone", 90, |status| status.pod("other").is_none())?;
    Said::of(&mut node.guest, &["unset", "runtime"])?.done()?;
    node.status_when("containerd is back with runc", 90, |status| status.ready).map(drop)
}

/// One that is typed, changed, diffed: it is masked each time.
fn secrets(node: &mut Node) -> Result<()> {
    let guest = &mut node.guest;
    set(guest, "cluster.lab.servers", "[\"https://192.0.2.1:6443\"]")?;
    let first = set(guest, "cluster.lab.token", SECRET)?;
    let second = set(guest, "cluster.lab.token", &format!("{SECRET}-2"))?;
    let third = Said::of(guest, &["get", "cluster.lab.token"])?.text;
    for said in [first, second, third] {
        ensure!(!said.contains(SECRET), "it is reported: {said}");
    }
    secrets_are_kept(guest, SECRET)?;
    Said::of(guest, &["unset", "cluster"])?.done().map(drop)
}
