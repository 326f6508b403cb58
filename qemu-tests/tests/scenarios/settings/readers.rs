//! Whatever the settings say, resolved, timesyncd, journald and containerd read what is made of it; for networkd the harness holds that.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use ballast_settings::model::Settings;
use ballast_settings::render::{Content, render};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use qemu_vm::guest::Guest;
use qemu_vm::node::Node;

use super::eventually;

#[path = "../../../../node-agent/settings/tests/properties/any.rs"]
mod any;

/// So many settings at random, the same each time; each is read by all.
const SETTINGS: usize = 24;

/// So many registries are tried, and so many settings are made at most until there are as many.
const HOSTS: usize = 4;
const MOST: usize = 2000;

/// Each drop-in's folder, who reads it, and how it is reported.
const DROP_INS: [(&str, &str); 3] = [
    ("resolved.conf.d", "systemd-resolved.service"),
    ("timesyncd.conf.d", "systemd-timesyncd.service"),
    ("journald.conf.d", "systemd-journald.service"),
];

pub(super) fn read_any_settings(node: &mut Node) -> Result<()> {
    let mut runner = TestRunner::deterministic();
    let mut all: Vec<Settings> = (0..SETTINGS).map(|_| one(&mut runner)).collect::<Result<_>>()?;
    drop_ins(&mut node.guest, &all)?;
    containerd(&mut node.guest, &all).context("containerd's configuration")?;
    // Few have registries, and which do changes with each key that is added: as many more as it takes.
    while registries(&all).len() < HOSTS && all.len() < MOST {
        all.push(one(&mut runner)?);
    }
    hosts(node, &all).context("containerd's hosts.toml")
}

fn one(runner: &mut TestRunner) -> Result<Settings> {
    let tree = any::any_settings().new_tree(runner).map_err(|why| anyhow::anyhow!("no settings: {why}"))?;
    Ok(tree.current())
}

/// A registry's folder below certs.d.
fn folder(path: &str) -> String {
    path.split('/').nth(4).unwrap_or_default().to_owned()
}

/// The registries that have files, and that nobody can reach.
fn registries(all: &[Settings]) -> BTreeSet<String> {
    let files = all.iter().flat_map(|settings| rendered(settings, "/etc/containerd/certs.d/"));
    files.map(|(path, _)| folder(&path)).filter(|host| host.contains(".example")).collect()
}

/// The rendered texts whose path has `part` in it, by their names.
fn rendered(settings: &Settings, part: &str) -> BTreeMap<String, String> {
    let files = render(settings).into_iter().filter(|file| file.path.contains(part));
    let texts = files.filter_map(|file| match file.content {
        Content::Bytes(bytes) => Some((file.path, String::from_utf8_lossy(&bytes).into_owned())),
        Content::Link(_) => None,
    });
    texts.collect()
}

/// A script that writes `text` into `path`.
fn put(script: &mut String, path: &str, text: &str) {
    let _ = writeln!(script, "mkdir -p \"$(dirname '{path}')\" && cat >'{path}' <<'EOF-OF-FILE'\n{text}\nEOF-OF-FILE");
}

/// Nobody has complained since `cursor`.
fn no_warnings(guest: &mut Guest, unit: &str, cursor: &str) -> Result<()> {
    let journal = guest.ask(&format!("journalctl --no-pager --output=cat --after-cursor='{cursor}' --unit={unit}"))?;
    let warnings =
        ["Unknown key", "Unknown section", "Failed to parse", "ignoring", "Ignoring", "Invalid ", "not valid"];
    let line = journal.lines().find(|line| warnings.iter().any(|warning| line.contains(warning)));
    ensure!(line.is_none(), "{unit} says {line:?}");
    Ok(())
}

fn cursor(guest: &mut Guest) -> Result<String> {
    let text = guest.ask("journalctl --no-pager --lines=0 --show-cursor")?;
    let line = text.lines().find_map(|line| line.strip_prefix("-- cursor: "));
    Ok(line.with_context(|| format!("the journal has no cursor: {text}"))?.to_owned())
}

fn drop_ins(guest: &mut Guest, all: &[Settings]) -> Result<()> {
    for (folder, unit) in DROP_INS {
        let mut script = String::new();
        for (index, settings) in all.iter().enumerate() {
            for (path, text) in rendered(settings, &format!("/{folder}/")) {
                let path = path.replace("/etc/", "/run/").replace("20-ballast", &format!("10-any-{index}"));
                put(&mut script, &path, &text);
            }
        }
        let cursor = cursor(guest)?;
        let _ = writeln!(script, "systemctl restart {unit}");
        guest.ask(&script)?;
        no_warnings(guest, unit, &cursor)?;
        guest.ask(&format!("rm -f /run/systemd/{folder}/10-any-*; systemctl restart {unit}"))?;
    }
    Ok(())
}

fn containerd(guest: &mut Guest, all: &[Settings]) -> Result<()> {
    let mut script = String::new();
    for (index, settings) in all.iter().enumerate() {
        for (_, text) in rendered(settings, "/etc/containerd/conf.d/") {
            put(&mut script, &format!("/run/any/{index}.toml"), &text);
        }
    }
    let dump = "dump() { containerd --config \"$1\" config dump >/dev/null 2>/run/any/said || { echo \"$1\"; cat /run/any/said; }; }";
    let _ = writeln!(script, "{dump}; for file in /run/any/*.toml; do dump $file; done");
    let said = guest.ask(&script)?;
    ensure!(said.is_empty(), "containerd says {said}");
    let control =
        "printf 'version = 3\\n[plugins.\"io.containerd.cri.v1.images\".registry]\\nconfigs = 7\\n' >/run/any/x.toml";
    let said = guest.ask(&format!("{dump}; {control}; dump /run/any/x.toml; rm -r /run/any"))?;
    ensure!(!said.is_empty(), "containerd is content with anything, so this says nothing");
    Ok(())
}

/// What containerd says of a file that it cannot read: it goes on as if there were none.
const UNREADABLE: &str = "failed to decode .*hosts.toml";

/// Registries of the settings that nobody can reach: a pull reads hosts.toml, and comes as far as looking for them.
fn hosts(node: &mut Node, all: &[Settings]) -> Result<()> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for settings in all {
        files.extend(rendered(settings, "/etc/containerd/certs.d/"));
    }
    let hosts: Vec<String> = registries(all).into_iter().take(HOSTS).collect();
    ensure!(hosts.len() == HOSTS, "only {hosts:?} have files");
    let mut script = String::new();
    for (path, text) in files.iter().filter(|(path, _)| hosts.contains(&folder(path))) {
        put(&mut script, path, text);
    }
    node.guest.ask(&script)?;
    let cursor = cursor(&mut node.guest)?;
    let warnings = |guest: &mut Guest| {
        guest.ask(&format!(
            "journalctl --no-pager --output=cat --after-cursor='{cursor}' --unit=containerd.service | grep '{UNREADABLE}' || :"
        ))
    };
    for (index, host) in hosts.iter().enumerate() {
        pull(node, index, host)?;
    }
    let said = warnings(&mut node.guest)?;
    ensure!(said.is_empty(), "containerd says {said}");
    node.guest.ask("mkdir -p /etc/containerd/certs.d/broken.example && echo 'server = [' >/etc/containerd/certs.d/broken.example/hosts.toml")?;
    pull(node, hosts.len(), "broken.example")?;
    ensure!(!warnings(&mut node.guest)?.is_empty(), "containerd is content with anything, so this says nothing");
    node.guest.ask("rm /var/lib/ballast/pods/any-*.yaml; rm -r /etc/containerd/certs.d/broken.example")?;
    eventually(&mut node.guest, "those pods are gone", "ballast status", |text| !text.contains("any-0")).map(drop)
}

/// Has the node pull an image from `host`, which nobody can reach, and waits until it says so.
fn pull(node: &mut Node, index: usize, host: &str) -> Result<()> {
    let mut script = String::new();
    let pod = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: any-{index}}}\nspec:\n  hostNetwork: true\n  containers:\n\
         \x20 - {{name: a, image: '{host}/team/none:1'}}"
    );
    put(&mut script, &format!("/var/lib/ballast/pods/any-{index}.yaml"), &pod);
    node.guest.ask(&script)?;
    let is_reported = |reasons: &[String]| reasons.iter().any(|reason| reason.contains(&format!("{host}/team/none")));
    node.status_when(&format!("{host} cannot be reached"), 180, |status| is_reported(&status.reasons)).map(drop)
}
