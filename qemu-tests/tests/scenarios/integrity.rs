//! C: what lies on the disk is what was built, or reading it fails.

use anyhow::ensure;
use qemu_tests::disk::root::Root;
use qemu_tests::lab::Options;
use qemu_tests::scenario::Scenario;

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
        ensure!(
            read.status != 0 && read.complaint().contains("Input/output error"),
            "reading it: {}",
            read.complaint()
        );
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
