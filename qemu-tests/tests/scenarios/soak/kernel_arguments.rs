//! Arguments in the settings hold from the next boot on, of whatever release; a boot with new ones is counted as any trial is.

use anyhow::{Context, Result, ensure};
use qemu_vm::guest::Guest;
use qemu_vm::installed::Installed;
use qemu_vm::releases::Releases;
use qemu_vm::scenario::Scenario;
use qemu_vm::settings::set;

use super::upgrade::arguments;
use crate::settings::eventually;
use crate::upgrade::runs;

const WANTED: [&str; 2] = ["transparent_hugepage=never", "loglevel=4"];

/// The wanted ones are at the end, each once, behind all that the release has and the word that parts them from it.
fn has(guest: &mut Guest, plain: &str) -> Result<()> {
    let line = arguments(guest)?;
    ensure!(
        line == format!("{plain} ballast.settings {}", WANTED.join(" ")),
        "the arguments are {line:?}, without settings {plain:?}"
    );
    Ok(())
}

/// A boot with other arguments may fail as one with another kernel may: it is counted.
fn one_is_on_trial(host: &Installed<'_>) -> Result<()> {
    let entries = host.entries()?;
    ensure!(entries.iter().filter(|entry| entry.tries.is_some()).count() == 1, "on trial are {entries:?}");
    Ok(())
}

#[test]
fn f_kernel_arguments_hold_from_the_next_boot_on_and_after_an_upgrade() {
    Scenario::run("f_kernel_arguments", |scenario| {
        let mut host = Installed::on(scenario)?;
        let (new, name) = host.publish(host.release("20261122.1")?)?;
        let mut node = host.restored()?;
        let plain = arguments(&mut node.guest)?;
        set(&mut node.guest, "kernel.arguments", &format!("{WANTED:?}"))?;
        ensure!(arguments(&mut node.guest)? == plain, "this boot has other arguments");
        node.status_when("what waits for a reboot is said", 60, |status| {
            status.reasons.iter().any(|reason| reason.contains("kernel.arguments"))
        })?;
        // The entry that has them is there a moment later, as are those of releases: with tries of its own.
        eventually(&mut node.guest, "an entry has them", "ls /efi/loader/entries", |names| names.contains("+3.conf"))?;
        node.reboot_to_exit()?;
        one_is_on_trial(&host)?;

        let mut node = host.boot().context("with arguments")?;
        has(&mut node.guest, &plain)?;
        let reasons = node.status()?.reasons;
        ensure!(!reasons.iter().any(|reason| reason.contains("kernel.arguments")), "they hold, but {reasons:?}");
        // The release is the same one, and has no second life beside itself.
        let releases = Releases::of(&mut node.guest)?;
        ensure!(releases.releases.len() == 1, "on the disk are {:?}", releases.versions());
        host.upgrade_and_reboot(node, &name)?;

        let mut node = host.boot().context("upgraded")?;
        runs(&mut node, &new.digest)?;
        has(&mut node.guest, &plain).context("upgraded")?;
        node.power_off()
    });
}
