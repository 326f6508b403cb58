//! U: from one release to another.

use anyhow::{Context, Result, ensure};
use qemu_vm::deadline::Deadline;
use qemu_vm::guest::Guest;
use qemu_vm::installed::Installed;
use qemu_vm::node::{Node, READY};
use qemu_vm::release::Written;
use qemu_vm::releases::{Ended, Releases};
use qemu_vm::scenario::Scenario;

/// What an operator wrote, and what must be there and hold after each upgrade and rollback (F06).
const SETTINGS: &str = "\
# Kept.
hostname = \"kept\"
[kernel.sysctl]
\"net.core.somaxconn\" = 1234
[update]
auto = false
[health]
network = true
";

pub(crate) fn leave_traces(guest: &mut Guest) -> Result<()> {
    guest.ask("echo kept >/var/lib/ballast/a-test-was-here")?;
    qemu_vm::settings::apply(guest, SETTINGS).map(drop)
}

/// Writes down which capabilities it has; the release on trial needs it.
const CHECK: &str = r#"mkdir -p /var/lib/ballast/health.d && cd /var/lib/ballast/health.d &&
printf '%s\n' '#!/bin/sh' 'while read -r key value; do case $key in CapEff:) echo "$value" >/run/rights;; esac; done </proc/self/status' >rights &&
chmod 755 rights"#;

fn checks_have_all_rights(guest: &mut Guest) -> Result<()> {
    let (rights, all) = (guest.ask("cat /run/rights")?, guest.ask("grep CapEff: /proc/1/status")?);
    ensure!(all.ends_with(&rights) && rights.len() == 16, "the health check has {rights:?}, and systemd {all}");
    Ok(())
}

/// What the operator writes.
pub(crate) fn settings(guest: &mut Guest, text: &str) -> Result<()> {
    guest.ask(&format!("printf '{}' >/var/lib/ballast/settings.toml", text.replace('\n', "\\n"))).map(drop)
}

pub(crate) fn traces_are_kept(node: &mut Node) -> Result<()> {
    ensure!(node.guest.ask("cat /var/lib/ballast/a-test-was-here")? == "kept", "/var was not kept");
    let settings = node.guest.ask("cat /var/lib/ballast/settings.toml")?;
    ensure!(settings == SETTINGS.trim_end(), "the settings became {settings:?}");
    let status = node.status()?;
    ensure!(status.settings.problems.is_empty(), "F06: the settings do not load: {:?}", status.settings.problems);
    ensure!(status.settings.trial.is_none(), "F06: they are on trial: {:?}", status.settings.trial);
    ensure!(status.node.hostname == "kept", "F06: the node is called {}", status.node.hostname);
    let sysctl = node.guest.ask("cat /proc/sys/net/core/somaxconn")?;
    ensure!(sysctl == "1234", "F06: the sysctl is {sysctl}");
    Ok(())
}

/// The release that runs is `digest`, has proved itself, and boots next.
pub(crate) fn runs(node: &mut Node, digest: &str) -> Result<()> {
    let releases = Releases::of(&mut node.guest)?;
    let booted = releases.booted()?;
    ensure!(booted.digest.as_deref() == Some(digest), "{booted:?} runs, not {digest}");
    ensure!(booted.next && booted.state == "good", "what runs is {booted:?}");
    let status = node.status()?;
    ensure!(status.os.digest.as_deref() == Some(digest), "the status reports {:?}", status.os);
    ensure!(status.os.version == booted.version, "the status reports {:?}", status.os);
    Ok(())
}

/// Check, fetch, reboot without it, upgrade, the same again: three boots, each of which proves itself at once.
#[test]
fn u02_u03_u04_f06_old_to_new_and_the_same_again() {
    Scenario::run("u02_u03_u04", |scenario| {
        let mut host = Installed::on(scenario)?;
        let old = host.base.digest()?;
        let (new, name) = host.publish(host.release("20261122.1")?)?;
        let mut node = host.restored()?;
        runs(&mut node, &old)?;
        leave_traces(&mut node.guest)?;
        node.guest.ask(CHECK)?;

        let check = Ended::of(&mut node.guest, &["upgrade", "--check", &name])?;
        ensure!(check.status == 10, "--check ended with {} although there is a newer one", check.status);
        let mark = host.release_server.fault_proxy.mark();
        let done = Ended::of(&mut node.guest, &["upgrade", "--fetch-only", &name])?.done()?;
        ensure!(done.changed && done.digest.as_deref() == Some(&new.digest), "U04: it fetched {done:?}");
        let sent: u64 = host
            .release_server
            .fault_proxy
            .served_since(mark)
            .iter()
            .filter(|one| one.is_blob())
            .map(|one| one.sent)
            .sum();
        // Layer, configuration, signature: what is on the node already is not fetched.
        ensure!(sent < new.layer_bytes + 50_000, "U04: {sent} bytes were fetched for a layer of {}", new.layer_bytes);
        node.reboot_to_exit()?;

        let mut node = host.boot().context("U04: after fetching only")?;
        runs(&mut node, &old).context("U04: after fetching only")?;
        let mark = host.release_server.fault_proxy.mark();
        host.upgrade_and_reboot(node, &name)?;
        let again = host.release_server.fault_proxy.served_since(mark).iter().any(|one| one.path.ends_with(&new.layer));
        ensure!(!again, "U04: the layer was fetched again");

        let mut node = host.boot().context("U02: the new release")?;
        runs(&mut node, &new.digest).context("U02")?;
        traces_are_kept(&mut node).context("U02")?;
        checks_have_all_rights(&mut node.guest).context("U02")?;
        ensure!(
            node.guest.ask("cat /usr/lib/os-release")?.contains("VERSION_ID=20261122.1"),
            "U02: not its os-release"
        );

        let before = node.guest.ask("ls /efi/loader/entries /sysroot/ostree/deploy/ballast/deploy")?;
        let done = Ended::of(&mut node.guest, &["upgrade", &name])?.done()?;
        ensure!(!done.changed && done.message.contains("nothing to do"), "U03: {done:?}");
        let check = Ended::of(&mut node.guest, &["upgrade", "--check", &name])?;
        ensure!(check.status == 0, "U03: --check ended with {}", check.status);
        let after = node.guest.ask("ls /efi/loader/entries /sysroot/ostree/deploy/ballast/deploy")?;
        ensure!(before == after, "U03: {before:?} became {after:?}");
        node.power_off()?;
        ensure!(host.scenario.boots() == 3, "{} boots", host.scenario.boots());
        Ok(())
    });
}

/// U10, U06 and C07: over several releases in one hop; an older one, rightly signed, only when it is asked for.
#[test]
fn u06_u10_c07_f06_one_hop_forward_and_back_only_when_asked() {
    Scenario::run("u06_u10_c07", |scenario| {
        let mut host = Installed::on(scenario)?;
        let (between, between_name) = host.publish(host.release("20261122.1")?)?;
        let (newest, newest_name) = host.publish(host.release("20270301.1")?)?;
        let node = host.restored()?;
        host.upgrade_and_reboot(node, &newest_name)?;

        let mut node = host.boot().context("U10")?;
        runs(&mut node, &newest.digest).context("U10")?;
        leave_traces(&mut node.guest)?;
        // The registry, or who stands before it, gives out what was good once under the name of the newest.
        let signed = qemu_vm::registry::Signed::By(&host.release_server.key);
        let stable = host.release_server.publish_as(&between, "stable", signed)?;
        let mark = host.release_server.fault_proxy.mark();
        let why = Ended::of(&mut node.guest, &["upgrade", &stable])?.failed(4, "refused").context("C07, U06")?;
        ensure!(why.contains("20261122.1") && why.contains("20270301.1"), "U06: the refusal names no versions: {why}");
        ensure!(!fetched(&host, mark, &between), "U06: the layer was fetched before it was refused");
        let done = Ended::of(&mut node.guest, &["upgrade", &between_name, "--allow-downgrade", "--reboot"])?.done()?;
        ensure!(done.reboots, "U06: {done:?}");
        node.ends(Deadline::after(READY))?;

        let mut node = host.boot().context("U06")?;
        runs(&mut node, &between.digest).context("U06")?;
        traces_are_kept(&mut node).context("U06")?;
        node.power_off()
    });
}

pub(crate) fn fetched(host: &Installed<'_>, mark: usize, release: &Written) -> bool {
    host.release_server
        .fault_proxy
        .served_since(mark)
        .iter()
        .any(|one| one.path.ends_with(&release.layer) && one.sent > 0)
}
