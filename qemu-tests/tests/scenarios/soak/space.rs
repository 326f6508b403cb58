//! S: no room, wherever it may be missing. The node says so before it fetches anything, and stays as it is.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use qemu_vm::deadline::Deadline;
use qemu_vm::guest::Guest;
use qemu_vm::installed::Installed;
use qemu_vm::node::{Node, READY};
use qemu_vm::releases::{Ended, Releases};
use qemu_vm::scenario::Scenario;
use qemu_vm::settings::{Said, exit, set};

use crate::upgrade::{fetched, runs};

/// Making a hundred thousand files takes an emulated machine minutes.
const FILLING: Duration = Duration::from_secs(600);

/// Runs `script` where ROOT and the ESP are writable, in a mount namespace of its own: the node's stay as they are.
fn beneath(guest: &mut Guest, script: &str) -> Result<()> {
    let script = format!("unshare --mount sh -ec 'mount -o remount,rw /sysroot; {script}; sync'");
    guest.shell_within(&script, FILLING)?.success(&script).map(drop)
}

/// Upgrades are refused for want of `what`, and nothing of the layer is fetched.
fn refused(host: &Installed<'_>, node: &mut Node, version: &str, what: &[&str]) -> Result<()> {
    let (release, name) = host.publish(host.release(version)?)?;
    let mark = host.release_server.fault_proxy.mark();
    let why = Ended::of(&mut node.guest, &["upgrade", &name])?.failed(1, "no-space")?;
    ensure!(what.iter().all(|what| why.contains(what)), "the reason does not have {what:?}: {why}");
    ensure!(!fetched(host, mark, &release), "the layer was fetched before there was room");
    Ok(())
}

#[test]
fn s01_s04_s05_no_room_is_said_before_the_first_byte() {
    Scenario::run("s01_s04_s05", |scenario| {
        let mut host = Installed::on(scenario)?;
        let mut node = host.restored()?;

        // A file as large as what is free, less 24 MiB: an upgrade wants 32, and ext4 keeps 16 even from root.
        let free = "free=$(stat --file-system --format=%f /sysroot); size=$(stat --file-system --format=%S /sysroot)";
        let fill = "dd if=/dev/zero of=/sysroot/filler bs=1M count=$((free * size / 1048576 - 24)) status=none";
        beneath(&mut node.guest, &format!("{free}; {fill}"))?;
        refused(&host, &mut node, "20261122.1", &["ROOT", "MB"]).context("S01")?;
        beneath(&mut node.guest, "rm /sysroot/filler")?;

        let fill = "mount -o remount,rw /efi; dd if=/dev/zero of=/efi/filler bs=1M status=none || :; sync; mount -o remount,ro /efi";
        node.guest.shell_within(fill, FILLING)?.success(fill)?;
        refused(&host, &mut node, "20261122.2", &["EFI system partition"]).context("S04")?;
        node.guest.ask("mount -o remount,rw /efi; rm /efi/filler; mount -o remount,ro /efi")?;

        beneath(
            &mut node.guest,
            "mkdir /sysroot/filler; cd /sysroot/filler; free=$(stat --file-system --format=%d .); \
            seq $((free - 500)) | xargs -n 2000 touch",
        )?;
        refused(&host, &mut node, "20261122.3", &["ROOT", "inodes"]).context("S05")?;
        beneath(&mut node.guest, "rm -r /sysroot/filler")?;

        let (release, name) = host.publish(host.release("20261122.4")?)?;
        host.upgrade_and_reboot(node, &name).context("with room again")?;
        let mut node = host.boot()?;
        runs(&mut node, &release.digest)?;
        node.power_off()
    });
}

/// Pods that fill /var stop neither the status, nor an upgrade, nor a rollback. Whether containerd starts again then is not the
/// point: the release is blessed, and boots.
#[test]
fn s06_var_is_full() {
    Scenario::run("s06", |scenario| {
        let mut host = Installed::on(scenario)?;
        let old = host.base.digest()?;
        let (first, first_name) = host.publish(host.release("20261122.1")?)?;
        let (second, second_name) = host.publish(host.release("20261122.2")?)?;
        let node = host.restored()?;
        host.upgrade_and_reboot(node, &first_name)?;
        let mut node = host.boot()?;
        runs(&mut node, &first.digest)?;
        crate::install::grown(&mut node)?;
        set(&mut node.guest, "hostname", "before-it-was-full")?;
        fill(&mut node.guest)?;

        ensure!(node.status()?.ready, "a full /var makes the node unready");
        settings_stay(&mut node.guest).context("settings")?;
        let done = Ended::of(&mut node.guest, &["rollback"])?.done()?;
        ensure!(done.digest.as_deref() == Some(&old), "rolled back to {done:?}");
        Ended::of(&mut node.guest, &["upgrade", &second_name])?.done()?;
        let next = Releases::of(&mut node.guest)?.next()?.digest.clone();
        ensure!(next.as_deref() == Some(&second.digest), "{next:?} boots next");
        let done = Ended::of(&mut node.guest, &["rollback", "--reboot"])?.done()?;
        ensure!(done.digest.as_deref() == Some(&old), "rolled back to {done:?}");
        node.ends(Deadline::after(READY))?;

        let mut node = host.scenario.start(&host.options)?;
        node.greeted(Deadline::after(READY)).context("rolled back, with /var full")?;
        let booted = Releases::of(&mut node.guest)?.booted()?.digest.clone();
        ensure!(booted.as_deref() == Some(&old), "rolled back, {booted:?} runs");
        node.status()?;
        node.power_off()
    });
}

/// What does not fit is not written, not by half; what was there holds.
fn settings_stay(guest: &mut Guest) -> Result<()> {
    let file = "sha256sum /var/lib/ballast/settings.toml; ls -A /var/lib/ballast";
    let before = guest.ask(file)?;
    // More than the few blocks that somebody may have given back meanwhile.
    let large = "{ echo 'hostname = \"full\"'; head -c 200000 /dev/zero | tr '\\0' '#'; echo; }";
    let output = guest.shell(&format!("{large} | ballast settings apply -"))?;
    ensure!(output.status == exit::FAILED, "it ended with {}: {}", output.status, output.warning());
    ensure!(output.warning().to_lowercase().contains("space"), "what is missing is not said: {}", output.warning());
    let after = guest.ask(file)?;
    ensure!(after == before, "{before} became {after}");
    let name = guest.ask("cat /proc/sys/kernel/hostname")?;
    ensure!(name == "before-it-was-full", "the name became {name}");
    Said::of(guest, &["show"])?.done().map(drop)
}

/// Until there is not a byte left, as whoever writes logs would.
fn fill(guest: &mut Guest) -> Result<()> {
    let script = "dd if=/dev/zero of=/var/lib/containerd/filler bs=4M oflag=append conv=notrunc status=none 2>/dev/null || :; \
        dd if=/dev/zero of=/var/lib/containerd/filler bs=4k oflag=append conv=notrunc status=none 2>/dev/null || :";
    guest.shell_within(script, FILLING)?.success(script)?;
    let free = guest.ask("stat --file-system --format=%a /var")?;
    // What somebody else gives back in between.
    ensure!(free.parse::<u64>()? < 16, "{free} blocks of /var are still free");
    Ok(())
}
