//! F: settings, from whatever says them to what holds on a node.

mod clouds;
mod commands;
mod defaults;
mod mistakes;
mod pair;
#[cfg(feature = "soak")]
mod power;
mod readers;
mod readme;
mod rendered;
mod sources;
mod trial;

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use qemu_vm::credentials::Credential;
use qemu_vm::deadline::Deadline;
use qemu_vm::guest::Guest;
use qemu_vm::lab::Options;
use qemu_vm::node::{Node, READY};
use qemu_vm::scenario::Scenario;

/// User-data over SMBIOS.
pub(crate) fn user_data(text: &str) -> Result<Credential> {
    Credential::new("ballast.settings", text)
}

/// Boots to READY, and until the agent reports a source of this rank: whoever asks only the agent need not wait for the rest of the boot.
pub(crate) fn reported(scenario: &mut Scenario, options: &Options, rank: &str) -> Result<Node> {
    let mut node = scenario.start(options)?;
    node.ready(Deadline::after(READY))?;
    let what = format!("the agent reports the {rank}");
    node.status_when(&what, 120, |status| status.settings.sources.iter().any(|source| source.rank == rank))?;
    Ok(node)
}

/// The name that the kernel has.
pub(crate) fn hostname(guest: &mut Guest) -> Result<String> {
    guest.ask("cat /proc/sys/kernel/hostname")
}

/// The kernel's value of a sysctl.
pub(crate) fn sysctl(guest: &mut Guest, name: &str) -> Result<String> {
    guest.ask(&format!("cat /proc/sys/{}", name.replace('.', "/")))
}

/// Asks until the answer is as `wanted`; gives it.
pub(crate) fn eventually(guest: &mut Guest, what: &str, script: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
    // What follows READY takes an emulated node on a busy host a minute.
    let deadline = Deadline::secs(120);
    loop {
        let output = guest.shell(script)?;
        if output.status == 0 && wanted(&output.text()) {
            return Ok(output.text());
        }
        if deadline.is_over() {
            bail!("{what}: not within {deadline}; {script} says {:?} {:?}", output.text(), output.warning());
        }
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// What is kept of settings is for root's eyes only; `secret`, where it stands in files, likewise. Nobody else was reported it.
pub(crate) fn secrets_are_kept(guest: &mut Guest, secret: &str) -> Result<()> {
    let modes = guest.ask(
        "find /var/lib/ballast -maxdepth 2 \\( -name 'settings*' -o -name 'sources*' -o -path '*/sources/*' \\) \
         -exec stat --format='%a %F %n' {} +",
    )?;
    for line in modes.lines() {
        let right = if line.contains(" directory ") { "700 " } else { "600 " };
        ensure!(line.starts_with(right), "it is open to others: {line}");
    }
    // Followed by nothing else, a dash would be an option of grep's; what QEMU handed over is there under two names.
    let files =
        guest.ask(&format!("grep -rlsF -e '{secret}' /etc /var/lib/ballast /run --exclude-dir=qemu-tests || :"))?;
    for file in files.lines() {
        let mode = guest.ask(&format!("stat --format=%a '{file}'"))?;
        ensure!(mode.ends_with("00"), "the mode of {file}, which has a secret in it, is {mode}");
    }
    let reported =
        "journalctl --boot --no-pager; ballast status --json; ballast settings show; ballast settings show --origins";
    let reported = guest.shell(reported)?.text();
    ensure!(reported.len() > 1000, "the journal is empty: {reported}");
    let line = reported.lines().find(|line| line.contains(secret));
    ensure!(line.is_none(), "a secret is reported: {line:?}");
    Ok(())
}

/// The agent's and containerd's processes: who was restarted?
pub(crate) fn processes(guest: &mut Guest) -> Result<[String; 2]> {
    let mut process = |unit| {
        let pid = guest.ask(&format!("systemctl show --property=MainPID --value {unit}"));
        pid.with_context(|| format!("looking for {unit}"))
    };
    Ok([process("ballast.service")?, process("containerd.service")?])
}
