//! C: what lies on the disk is what was built, or reading it fails.

use anyhow::ensure;
use qemu_vm::disk::root::Root;
use qemu_vm::lab::Options;
use qemu_vm::scenario::Scenario;

/// A program that nothing runs on the way to READY and that surely has a block of its own.
const VICTIM: &str = "/usr/bin/split";

/// A block of an object changes beneath the file system: the node boots, and reading that file is an error.
#[test]
fn c09_damaged_object_is_a_read_error_and_never_wrong_content() {
    Scenario::run("c09", |scenario| {
        let disk = scenario.disk()?;
        let deployment = format!("/ostree/deploy/ballast/deploy/{}.0", scenario.lab.image.commit);
        Root::of(&scenario.lab.tools, &disk.file)?.damage(&format!("{deployment}{VICTIM}"))?;

        let mut node = scenario.healthy(&Options { disk: Some(disk), ..Options::default() })?;
        let read = node.guest.run(&["cat", VICTIM])?;
        ensure!(read.status != 0 && read.warning().contains("Input/output error"), "reading it: {}", read.warning());
        ensure!(read.stdout.is_empty(), "{} bytes of a damaged block were given out", read.stdout.len());
        let run = node.guest.run(&[VICTIM, "--version"])?;
        ensure!(run.status != 0, "a damaged program ran: {}", run.text());
        let whole = node.guest.run(&["cat", "/usr/bin/tail"])?;
        ensure!(whole.status == 0 && whole.stdout.starts_with(b"\x7fELF"), "another file cannot be read");
        node.power_off()
    });
}

/// fs-verity is on for every object and for the composefs image before the very first boot. Boots nothing.
#[test]
fn every_object_of_the_built_disk_is_sealed() {
    Scenario::run("sealed", |scenario| {
        let disk = &scenario.lab.image.disk;
        let root = Root::of(&scenario.lab.tools, disk)?;
        let mut files = root.objects()?;
        ensure!(files.len() > 500, "the repository has only {} objects", files.len());
        files.push(format!("/ostree/deploy/ballast/deploy/{}.0/.ostree.cfs", scenario.lab.image.commit));
        let sealed = root.verity(&files)?;
        let open: Vec<_> = files.iter().zip(sealed).filter(|(_, sealed)| !sealed).map(|(file, _)| file).collect();
        ensure!(open.is_empty(), "{} of {} files have no fs-verity, the first is {}", open.len(), files.len(), open[0]);
        Ok(())
    });
}

/// What is damaged before a boot is reported above; these need several boots.
#[cfg(feature = "soak")]
mod soak {
    use anyhow::Context;
    use qemu_vm::disk::entries::{EntryName, Tries};
    use qemu_vm::disk::esp::Esp;
    use qemu_vm::installed::Installed;
    use qemu_vm::releases::{Ended, Releases};

    use super::*;

    /// C08: a damaged object is found, fetched again, and then all is as it was.
    #[test]
    fn c08_damaged_object_is_found_and_repaired() {
        Scenario::run("c08", |scenario| {
            let mut host = Installed::on(scenario)?;
            let name = host.release_server.publish_layout(host.base.folder(), host.base.version()?)?;
            let deployment = format!("/ostree/deploy/ballast/deploy/{}.0", host.scenario.lab.image.commit);
            Root::of(&host.scenario.lab.tools, &host.disk.file)?.damage(&format!("{deployment}{VICTIM}"))?;

            let mut node = host.boot()?;
            let why = Ended::of(&mut node.guest, &["fsck"])?.failed(1, "damaged")?;
            ensure!(why.contains("1 are damaged") && why.contains("--repair"), "it says {why}");
            crate::upgrade::settings(&mut node.guest, &format!("[update]\nimage = \"{name}\"\n"))?;
            let mark = host.release_server.fault_proxy.mark();
            Ended::of(&mut node.guest, &["fsck", "--repair"])?.done().context("repairing")?;
            let sent: u64 = host.release_server.fault_proxy.served_since(mark).iter().map(|one| one.sent).sum();
            ensure!(sent > 0, "nothing was fetched");
            let done = Ended::of(&mut node.guest, &["fsck"])?.done().context("after the repair")?;
            ensure!(!done.changed, "after the repair: {done:?}");
            node.reboot_to_exit()?;

            let mut node = host.boot().context("after the repair")?;
            let whole = node.guest.run(&["cat", VICTIM])?;
            ensure!(whole.status == 0 && whole.stdout.starts_with(b"\x7fELF"), "reading it: {}", whole.warning());
            node.power_off()
        });
    }

    /// C11: somebody put an entry on the ESP that boots first and names nothing that there is. It is tried, left, and taken away.
    #[test]
    fn c11_bogus_boot_entry() {
        Scenario::run("c11", |scenario| {
            let mut host = Installed::on(scenario)?;
            let old = host.base.digest()?;
            let esp = Esp::of(&host.scenario.lab.tools, &host.disk.file)?;
            let real = esp.only_entry()?;
            let text = esp.text(&real)?.replace(&host.scenario.lab.image.commit, &"0".repeat(64));
            let tries = Some(Tries { left: 2, done: 0 });
            let bogus = EntryName { stem: "ballast-99-20991231.1-000000000000".into(), tries };
            esp.add(&bogus, &text)?;
            esp.add(&EntryName { stem: "ballast-98-nonsense".into(), tries: None }, "this is no boot entry\n")?;

            let (mut node, failed) = host.boot_until_settled(2)?;
            ensure!(failed.len() == 2, "it was tried {} times, not twice", failed.len());
            let says = |lines: &Vec<qemu_vm::console::Line>| {
                lines.iter().any(|line| line.text.contains("ballast-init: deployment: "))
            };
            ensure!(failed.iter().all(says), "/init did not say that there is no such deployment");
            crate::upgrade::runs(&mut node, &old)?;
            ensure!(Releases::of(&mut node.guest)?.failed.is_empty(), "no release failed");
            Ended::of(&mut node.guest, &["collect"])?.done()?;
            let entries = node.guest.ask("ls /efi/loader/entries")?;
            ensure!(!entries.contains("000000000000"), "the bogus entry is still there: {entries}");
            let (release, name) = host.publish(host.release("20261122.1")?)?;
            host.upgrade_and_reboot(node, &name)?;
            let mut node = host.boot()?;
            crate::upgrade::runs(&mut node, &release.digest)?;
            node.power_off()
        });
    }
}
