//! R: back to the release before, by hand. And R06: a release whose /init cannot do its work says which step failed and why,
//! and reboots; the boot loader has counted the try.

use anyhow::{Context, Result, ensure};
use qemu_vm::deadline::Deadline;
use qemu_vm::disk::entries::Tries;
use qemu_vm::disk::esp::Esp;
use qemu_vm::disk::root::Root;
use qemu_vm::installed::Installed;
use qemu_vm::lab::Options;
use qemu_vm::node::{Node, READY};
use qemu_vm::qemu::firmware::FirmwareKind;
use qemu_vm::releases::{Ended, Releases};
use qemu_vm::scenario::Scenario;

use crate::upgrade::{leave_traces, runs, traces_are_kept};

/// Rolls back and lets the node reboot.
fn back(mut node: Node) -> Result<()> {
    let done = Ended::of(&mut node.guest, &["rollback", "--reboot"])?.done()?;
    ensure!(done.reboots && done.changed, "the rollback was {done:?}");
    node.ends(Deadline::after(READY)).map(drop)
}

/// By hand, twice, and once more while an upgrade is prepared; what an earlier trial left behind fails nobody.
#[test]
fn r01_r02_r03_r12_f06_by_hand_and_back_again() {
    Scenario::run("r01_r02_r03_r12", |scenario| {
        let mut host = Installed::on(scenario)?;
        let old = host.base.digest()?;
        let (new, name) = host.publish(host.release("20261122.1")?)?;
        let mut node = host.restored()?;
        leave_traces(&mut node.guest)?;
        host.upgrade_and_reboot(node, &name)?;
        let node = host.boot()?;
        back(node)?;
        let mut node = host.boot().context("R01")?;
        runs(&mut node, &old).context("R01")?;
        traces_are_kept(&mut node).context("R01")?;
        back(node)?;
        let mut node = host.boot().context("R02")?;
        runs(&mut node, &new.digest).context("R02")?;
        stale_flags(&mut node, &new.digest).context("R12")?;

        let (newer, newer_name) = host.publish(host.release("20261123.1")?)?;
        Ended::of(&mut node.guest, &["upgrade", &newer_name])?.done()?;
        back(node).context("R03")?;
        let mut node = host.boot().context("R03")?;
        traces_are_kept(&mut node).context("R03")?;
        let releases = Releases::of(&mut node.guest)?;
        // The one before, or, if that is collected already, the one that ran: never the one that was prepared.
        let booted = releases.booted()?.digest.clone().unwrap_or_default();
        ensure!([&old, &new.digest].contains(&&booted), "R03: {booted} runs");
        runs(&mut node, &booted).context("R03")?;
        ensure!(releases.failed.is_empty(), "R03: nothing failed, but {:?}", releases.failed);
        ensure!(releases.next()?.digest.as_deref() != Some(&newer.digest), "R03: it is still next");
        Ended::of(&mut node.guest, &["fsck"])?.done()?;
        node.power_off()?;
        ensure!(host.scenario.boots() == 5, "R16: {} boots, not 5", host.scenario.boots());
        Ok(())
    });
}

/// R12: a used-up entry and a verdict of an earlier life of a release that has proved itself since.
fn stale_flags(node: &mut Node, digest: &str) -> Result<()> {
    let entries = "/efi/loader/entries";
    let memory = "/var/lib/ballast/update.json";
    let given_up =
        format!(r#""given_up": {{"digest": "{digest}", "version": "20261122.1", "reason": "stale", "at": 1}}"#);
    let script = format!(
        "set -e; systemctl stop ballast.service; mount -o remount,rw /efi; \
         for entry in {entries}/*20261122.1*.conf; do cp $entry {entries}/ballast-1-20261122.1-stale+0-3.conf; break; done; \
         sed -i 's|\"given_up\": null|{given_up}|' {memory}; grep -q '\"stale\"' {memory}; \
         sync; mount -o remount,ro /efi; systemctl start ballast.service"
    );
    node.guest.ask(&script)?;
    node.agent_is_back(60)?;
    let releases = Releases::of(&mut node.guest)?;
    ensure!(releases.failed.is_empty(), "it is marked as failed: {:?}", releases.failed);
    runs(node, digest)
}

/// /init gives up waiting for a disk after tens of seconds; the rest is firmware under emulation.
const GIVES_UP_SECS: u64 = 180;

/// Damages ROOT, boots once through UEFI, and expects `step` to fail, with `reason` among its words.
fn fails(name: &str, step: &str, reason: &str, damage: impl FnOnce(&Root<'_>, &str) -> Result<()>) {
    Scenario::run(name, |scenario| {
        let disk = scenario.disk()?;
        let deployment = format!("/ostree/deploy/ballast/deploy/{}.0", scenario.lab.image.commit);
        damage(&Root::of(&scenario.lab.tools, &disk.file)?, &deployment)?;

        let options = Options { firmware: FirmwareKind::Uefi, disk: Some(disk.clone()), ..Options::default() };
        let lines = scenario.start(&options)?.ends(Deadline::secs(GIVES_UP_SECS))?;
        let said = |what: &str| lines.iter().find(|line| line.text.contains(what));
        let failure = format!("ballast-init: {step}: ");
        ensure!(!reason.is_empty(), "every line has nothing in it");
        let line = said(&failure);
        ensure!(line.is_some_and(|line| line.text.contains(reason)), "no {failure:?} with {reason:?}, but {line:?}");
        ensure!(said("ballast-init: rebooting").is_some(), "/init did not say that it reboots");
        ensure!(said("Kernel panic").is_none(), "the kernel panicked");

        let entry = Esp::of(&scenario.lab.tools, &disk.file)?.only_entry()?;
        ensure!(entry.tries == Some(Tries { left: 2, done: 1 }), "one failed boot left the entry as {entry}");
        ensure!(scenario.boots() == 1, "{} boots", scenario.boots());
        Ok(())
    });
}

#[test]
fn r06_deployment_is_missing() {
    fails("r06_deployment", "deployment", "no deployment is there", |root, deployment| root.unlink(deployment));
}

#[cfg(feature = "soak")]
mod soak {
    use super::*;

    #[test]
    fn r06_root_is_missing() {
        fails("r06_root", "root", "ballast-root", |root, _| root.delete_partition());
    }

    #[test]
    fn r06_composefs_image_is_truncated() {
        fails("r06_composefs", "composefs", ".ostree.cfs", |root, deployment| {
            root.truncate(&format!("{deployment}/.ostree.cfs"), 4096)
        });
    }
}
