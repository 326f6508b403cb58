//! R06: a release whose /init cannot do its work says which step failed and why, and reboots; the boot loader has counted
//! the try.

use anyhow::{Result, ensure};
use qemu_tests::deadline::Deadline;
use qemu_tests::disk::entries::Tries;
use qemu_tests::disk::esp::Esp;
use qemu_tests::disk::root::Root;
use qemu_tests::lab::Options;
use qemu_tests::qemu::firmware::FirmwareKind;
use qemu_tests::scenario::Scenario;

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
fn r06_root_is_missing() {
    fails("r06_root", "root", "ballast-root", |root, _| root.delete_partition());
}

#[test]
fn r06_deployment_is_missing() {
    fails("r06_deployment", "deployment", "", |root, deployment| root.unlink(deployment));
}

#[test]
fn r06_composefs_image_is_truncated() {
    fails("r06_composefs", "composefs", "", |root, deployment| {
        root.truncate(&format!("{deployment}/.ostree.cfs"), 4096)
    });
}
