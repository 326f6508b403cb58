//! Whatever the settings say of interfaces, bonds and VLANs, the real systemd-networkd reads it without a warning. It runs in namespaces
//! of its own, in which there is no interface to be harmed; it reads all files before it looks for one.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use ballast_settings::model::Settings;
use ballast_settings::render::{Content, render};
use ballast_settings::{Rank, Source};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use qemu_vm::tools::Tools;
use qemu_vm::workspace::Workspace;

#[path = "../../../node-agent/settings/tests/properties/any.rs"]
mod any;

/// So many settings at random, the same each time.
const SETTINGS: usize = 100;

const FOLDER: &str = "/etc/systemd/network/";

/// What networkd says of a file without a mistake that it could not do without, and once it has read all files.
const LOADED: &str = ": Successfully loaded.";
const HAS_READ: &str = "Enumerating...";

/// $1 is the tools tree, $2 the folder with the files, $3 a folder for what is bound over the tree. networkd wants to become a user of
/// its own, of which this namespace has none but root. The end of the namespace is the end of all mounts.
const SCRIPT: &str = r#"
set -e
printf 'root:x:0:0::/:/bin/sh\nsystemd-network:x:0:0::/:/bin/sh\n' >"$3/passwd"
printf 'root:x:0:\nsystemd-network:x:0:\n' >"$3/group"
mount -t tmpfs none "$1/run"
mkdir -p "$1/run/systemd/netif"
mount --bind "$2" "$1/etc/systemd/network"
mount --bind "$3/passwd" "$1/etc/passwd"
mount --bind "$3/group" "$1/etc/group"
for place in proc sys dev; do mount --rbind "/$place" "$1/$place"; done
exec timeout 120 chroot "$1" /usr/bin/env SYSTEMD_LOG_TARGET=console SYSTEMD_LOG_LEVEL=debug /usr/lib/systemd/systemd-networkd 2>&1
"#;

/// How many network files of `folder` networkd takes, and what it warns of in the files there.
fn read(tree: &Path, folder: &Path, scratch: &Path) -> (usize, Vec<String>) {
    let mut child = Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "sh",
            "-c",
            SCRIPT,
            "sh",
        ])
        .args([tree, folder, scratch])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let is_over = line.contains(HAS_READ);
        said.push(line);
        if is_over {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said.iter().any(|line| line.contains(HAS_READ)), "networkd did not come to reading: {said:#?}");
    said.retain(|line| line.starts_with(FOLDER));
    let (loaded, warnings): (Vec<String>, Vec<String>) = said.into_iter().partition(|line| line.ends_with(LOADED));
    (loaded.iter().filter(|line| line.contains(".network")).count(), warnings)
}

/// Writes the files of each of `all`; of two bonds or VLANs of the same name the first. Gives the number of network files.
fn write(all: &[Settings], folder: &Path) -> usize {
    let mut names = BTreeSet::new();
    let mut count = 0;
    for (index, settings) in all.iter().enumerate() {
        for file in render(settings) {
            let (Some(name), Content::Bytes(bytes)) = (file.path.strip_prefix(FOLDER), &file.content) else { continue };
            if name.ends_with(".netdev") && !names.insert(name.to_owned()) {
                continue;
            }
            fs::write(folder.join(format!("{index:03}-{name}")), bytes).unwrap();
            count += usize::from(name.ends_with(".network"));
        }
    }
    count
}

#[test]
fn networkd_reads_whatever_is_rendered_for_it() {
    let workspace = Workspace::find();
    let tools = Tools::find(&workspace).unwrap();
    let tree = tools.tree().expect("the tools tree of `make setup`");
    let scratch = workspace.scratch().unwrap();
    let folder = scratch.path().join("files");
    fs::create_dir(&folder).unwrap();

    let mut runner = TestRunner::deterministic();
    let mut all: Vec<Settings> =
        (0..SETTINGS).map(|_| any::any_settings().new_tree(&mut runner).unwrap().current()).collect();
    for text in [
        include_str!("../../../node-agent/settings/tests/golden/whole.toml"),
        include_str!("../../../node-agent/settings/tests/golden/interfaces.toml"),
        include_str!("../../../node-agent/settings/tests/field/vlan-bond.toml"),
        include_str!("../../../node-agent/settings/tests/field/gateway-outside-prefix.toml"),
    ] {
        all.push(ballast_settings::settings(&[Source::new("f", Rank::Node, text.as_bytes())]).0);
    }
    let count = write(&all, &folder);
    assert!(count > SETTINGS, "only {count} files are rendered");
    let (loaded, warnings) = read(tree, &folder, scratch.path());
    assert_eq!((loaded, warnings), (count, Vec::new()));

    // It does warn of what is wrong.
    fs::write(folder.join("000-wrong.network"), "[Match]\nName=none7\n[Network]\nAddress=wrong\nUnknown=1\n").unwrap();
    assert_eq!(read(tree, &folder, scratch.path()).1.len(), 2);
}
