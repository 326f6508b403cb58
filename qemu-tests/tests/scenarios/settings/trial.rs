//! F08: what is tried is taken back unless it is confirmed; also over a reboot.

use anyhow::{Context, Result, ensure};
use qemu_vm::guest::Guest;
use qemu_vm::lab::Options;
use qemu_vm::node::Node;
use qemu_vm::scenario::Scenario;
use qemu_vm::settings::{Said, apply, exit, set};
use qemu_vm::status::Status;

use super::{hostname, reported, sysctl};

const DOCUMENT: &str = "hostname = \"proven\"\n";

/// Nothing is on trial, and nothing of one is left.
fn no_trial(node: &mut Node, name: &str) -> Result<()> {
    let over = |status: &Status| !status.settings.sources.is_empty() && status.settings.trial.is_none();
    let status = node.status_when("no trial runs", 60, over)?;
    ensure!(status.node.hostname == name, "the status has the name {}", status.node.hostname);
    ensure!(hostname(&mut node.guest)? == name, "the name is {}", hostname(&mut node.guest)?);
    let left = node.guest.ask("ls /var/lib/ballast")?;
    ensure!(!left.contains("trial") && !left.contains("before"), "a trial leaves {left}");
    Ok(())
}

fn tries(guest: &mut Guest, name: &str, time: &str) -> Result<String> {
    Said::of(guest, &["set", "hostname", name, "--try", time])?.done()
}

#[test]
fn f08_what_is_tried_is_taken_back_unless_confirmed() {
    Scenario::run("f08", |scenario| {
        let options = Options { smp: 1, disk: Some(scenario.disk()?), ..Options::default() };
        let mut node = scenario.healthy(&options)?;
        apply(&mut node.guest, DOCUMENT)?;
        in_one_boot(&mut node)?;

        // What is tried when the node reboots has its whole time once more, and no longer.
        let said = tries(&mut node.guest, "tried", "30m")?;
        ensure!(said.contains("confirm"), "what keeps it is not said: {said}");
        node.reboot_to_exit()?;
        let mut node = reported(scenario, &options, "node").context("the boot that goes on trying")?;
        ensure!(hostname(&mut node.guest)? == "tried", "rebooted, the name is {}", hostname(&mut node.guest)?);
        let trial = node.status()?.settings.trial.context("rebooted, no trial runs")?;
        ensure!((900..=1800).contains(&trial.left_s), "rebooted, {} s are left", trial.left_s);
        node.reboot_to_exit()?;

        let mut node = reported(scenario, &options, "node").context("the boot that takes it back")?;
        // Before anything was rendered: no name but the old one was ever there.
        let names = node.guest.ask("journalctl --boot --no-pager --output=json-pretty | grep -c '\"tried\"' || :")?;
        ensure!(names == "0", "the third boot still had the name that was tried");
        no_trial(&mut node, "proven")?;
        ensure!(node.guest.ask("cat /var/lib/ballast/settings.toml")? == DOCUMENT.trim_end(), "it is not as it was");

        // R12: confirmed once is confirmed; what an earlier trial left to count fails nothing.
        tries(&mut node.guest, "kept", "30m")?;
        Said::of(&mut node.guest, &["confirm"])?.done()?;
        no_trial(&mut node, "kept")?;
        node.reboot_to_exit()?;
        let mut node = scenario.healthy(&options).context("the boot after confirming")?;
        no_trial(&mut node, "kept").context("R12")?;
        node.power_off()
    });
}

/// Where the bytes are set, the kernel zeroes the ratio; and it takes no zero for the bytes.
fn sysctls_are_tried(node: &mut Node) -> Result<()> {
    let names = ["net.core.somaxconn", "vm.dirty_bytes", "vm.dirty_ratio"];
    let values = |guest: &mut Guest| names.into_iter().map(|name| sysctl(guest, name)).collect::<Result<Vec<_>>>();
    let before = values(&mut node.guest)?;
    let document = format!("{DOCUMENT}[kernel.sysctl]\n\"net.core.somaxconn\" = 1234\n\"vm.dirty_bytes\" = 16777216\n");
    Said::reading(&mut node.guest, document, &["apply", "-", "--try", "20s"])?.done()?;
    let tried = values(&mut node.guest)?;
    ensure!(tried == ["1234", "16777216", "0"], "what is tried does not apply: {names:?} are {tried:?}");
    no_trial(node, "proven").context("20 s later, sysctls tried")?;
    let after = values(&mut node.guest)?;
    ensure!(after == before, "taken back, {names:?} are {after:?}, and were {before:?}");
    Ok(())
}

fn in_one_boot(node: &mut Node) -> Result<()> {
    sysctls_are_tried(node)?;
    tries(&mut node.guest, "brief", "20s")?;
    ensure!(hostname(&mut node.guest)? == "brief", "what is tried does not apply");
    let trial = node.status()?.settings.trial.context("the status has no trial")?;
    ensure!(trial.left_s <= 20, "{} s are left of 20", trial.left_s);
    let person = node.guest.ask("ballast status")?;
    ensure!(person.contains("trial"), "the status for people does not show the trial: {person}");
    // One thing at a time: what would be confirmed then?
    Said::of(&mut node.guest, &["set", "hostname", "another"])?.ends(exit::BUSY, &["confirm"])?;
    ensure!(hostname(&mut node.guest)? == "brief", "refused during a trial, it applies");
    no_trial(node, "proven").context("20 s later")?;

    // To try it dry is a contradiction; to confirm what is not on trial changes nothing.
    let dry = Said::of(&mut node.guest, &["set", "hostname", "dry", "--try", "5m", "--dry-run"])?;
    ensure!(dry.status == exit::USAGE, "it ended with {}: {}", dry.status, dry.warning);
    no_trial(node, "proven").context("tried dry")?;
    Said::of(&mut node.guest, &["confirm"])?.done()?;
    no_trial(node, "proven").context("nothing was on trial")?;

    // The agent may be killed meanwhile: the time is up all the same.
    tries(&mut node.guest, "brief", "20s")?;
    node.guest.ask("kill -KILL $(systemctl show --property=MainPID --value ballast.service)")?;
    node.agent_is_back(60)?;
    no_trial(node, "proven").context("20 s later, the agent killed meanwhile")?;
    // And a trial that is over can be followed by settings that stay.
    set(&mut node.guest, "hostname", "meanwhile")?;
    no_trial(node, "meanwhile")?;
    apply(&mut node.guest, DOCUMENT).map(drop)
}
