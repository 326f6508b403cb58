//! Whatever is damaged under /var/lib/ballast, the node comes up.

use anyhow::{Context, Result, ensure};
use qemu_vm::invariants;
use qemu_vm::lab::Options;
use qemu_vm::node::Node;
use qemu_vm::scenario::{Cases, Scenario};

/// How each file is damaged, as shell over `$f`; one boot each.
const DAMAGES: [(&str, &str); 4] = [
    ("empty", r#": >"$f""#),
    ("half of it", r#"head -c $(($(stat -c %s "$f") / 2)) "$f" >/run/half; cat /run/half >"$f""#),
    ("NULs", r#"head -c $(($(stat -c %s "$f") + 1)) /dev/zero >/run/nuls; cat /run/nuls >"$f""#),
    ("a folder", r#"rm -f "$f"; mkdir "$f""#),
];

/// State of every kind, as a node has it after some time. What an earlier round left is taken away before.
const STATE: &str = r#"
cd /var/lib/ballast
rm -rf settings.toml settings.before.toml settings.trial.json update.json sources sources.json pods/web.yaml health.d/up
ballast settings set 'kernel.sysctl."vm.swappiness"' 10
ballast pin "$(. /etc/os-release; echo "$VERSION_ID")"
ballast settings set --try 10m log.level debug
mkdir -p sources pods health.d
echo 'hostname = "x"' >sources/credential.toml
echo '{}' >sources.json
echo 'apiVersion: v1' >pods/web.yaml
printf '#!/bin/sh\nexit 0\n' >health.d/up
chmod 755 health.d/up
"#;

/// The files that must be among those that are damaged.
const KNOWN: [&str; 6] =
    ["machine-id", "settings.toml", "settings.trial.json", "update.json", "sources.json", "health.d/up"];

fn damage(node: &mut Node, how: &str) -> Result<()> {
    node.guest.ask(STATE).context("making state of every kind")?;
    let files = "find /var/lib/ballast -type f ! -name '*.damaged*'";
    let found = node.guest.ask(files)?;
    for known in KNOWN {
        ensure!(found.lines().any(|file| file.ends_with(&format!("/{known}"))), "there is no {known}: {found}");
    }
    // Nobody rewrites what is damaged: the agent is stopped, and the machine goes down at once.
    let damage =
        format!("systemctl kill --signal=STOP ballast.service; {files} | while read -r f; do {how}; done; sync");
    node.guest.ask(&damage).context("damaging it").map(drop)
}

fn comes_up(node: &mut Node) -> Result<()> {
    invariants::check_release(node, None, &[])?;
    let ids = node.guest.ask("cat /etc/machine-id /var/lib/ballast/machine-id")?;
    let (shown, kept) = ids.split_once('\n').context("there is one machine-id")?;
    ensure!(shown.len() == 32 && shown == kept, "the machine-id is {shown:?}, kept is {kept:?}");
    let reasons = node.status()?.reasons;
    let reported = "the machine-id was damaged";
    ensure!(reasons.iter().any(|reason| reason.contains(reported)), "nobody says that {reported}: {reasons:?}");
    Ok(())
}

#[test]
fn v_whatever_is_damaged_in_the_state_the_node_comes_up() {
    Scenario::run("v_damaged_state", |scenario| {
        let options = Options { disk: Some(scenario.disk()?), ..Options::default() };
        let mut cases = Cases::default();
        let mut node = scenario.healthy(&options)?;
        for (name, how) in DAMAGES {
            damage(&mut node, how)?;
            node.cut_power()?;
            node = scenario.healthy(&options).with_context(|| format!("each file is {name}"))?;
            cases.note(name, comes_up(&mut node));
        }
        node.power_off()?;
        cases.end()
    });
}
