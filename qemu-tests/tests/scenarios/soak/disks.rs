//! Disks: two of one image in one machine, and one with sectors of 4096 bytes.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use qemu_vm::disk::entries::EntryName;
use qemu_vm::disk::esp::Esp;
use qemu_vm::disk::{Bus, Disk};
use qemu_vm::installed::{Installed, proves_itself};
use qemu_vm::lab::Options;
use qemu_vm::qemu::firmware::FirmwareKind;
use qemu_vm::releases::Ended;
use qemu_vm::scenario::Scenario;

use crate::install::grown;

fn entries(host: &Installed<'_>, disk: &Disk) -> Result<Vec<EntryName>> {
    let mut entries = Esp::of(&host.scenario.lab.tools, &disk.file)?.entries()?;
    entries.sort_by_key(ToString::to_string);
    Ok(entries)
}

/// The second disk of an image boots in a machine that has the first one, which ran there before and whose name comes first: it is counted,
/// blessed and upgraded on its own ESP, and nothing is written to the other one.
#[test]
fn i05_two_disks_of_one_image_boot_each_by_itself() {
    Scenario::run("i05_two_of_one_image", |scenario| {
        let mut host = Installed::on(scenario)?;
        let (_, name) = host.publish(host.release("20261122.1")?)?;
        host.restored()?.power_off()?;
        let first = host.disk.clone();
        let before = (first.modified()?, entries(&host, &first)?);
        ensure!(before.1.iter().all(|entry| entry.tries.is_none()), "the first disk was not blessed: {:?}", before.1);

        let second = Disk::copy(&host.scenario.lab.image.disk, host.scenario.scratch().join("second.raw"))?;
        host.options.disk = Some(second.clone());
        host.options.bus = Bus::Nvme;
        host.options.volumes = vec![first.drive(Bus::Virtio)];
        let mut node = host.boot().context("the second disk")?;
        let efi = node.guest.ask("findmnt --noheadings --output SOURCE /efi")?;
        ensure!(efi == "/dev/nvme0n1p1", "/efi is {efi}");
        Ended::of(&mut node.guest, &["upgrade", &name])?.done()?;
        node.power_off()?;
        let tries: Vec<bool> = entries(&host, &second)?.iter().map(|entry| entry.tries.is_some()).collect();
        ensure!(tries == [false, true], "the second disk has {:?}", entries(&host, &second)?);
        ensure!((first.modified()?, entries(&host, &first)?) == before, "the first disk was written to");

        // And the first one again, with the second beside it.
        host.options.disk = Some(first);
        host.options.bus = Bus::Virtio;
        host.options.volumes = vec![second.drive(Bus::Nvme)];
        let mut node = host.boot().context("the first disk again")?;
        let root = node.guest.ask("findmnt --noheadings --output SOURCE /sysroot")?;
        ensure!(root.starts_with("/dev/vda2"), "ROOT is {root}");
        node.power_off()
    });
}

/// `make image-4k`'s disk in a drive with sectors of 4096 bytes: firmware, boot loader, /init, growing, blessing, and a second boot.
#[test]
fn i05_a_disk_with_sectors_of_4096_bytes_boots() {
    Scenario::run("i05_4k", |scenario| {
        let made = scenario.scratch().join("made.raw");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../image/disk/4k");
        let mut command = Command::new(script);
        command
            .arg(scenario.lab.tools.tree().context("there is no tools tree")?)
            .arg(&scenario.lab.image.disk)
            .arg(&made);
        qemu_vm::tools::output("image/disk/4k", &mut command)?;
        let disk = Disk::copy(&made, scenario.scratch().join("disk.raw"))?.with_sectors(4096);
        let options = Options { firmware: FirmwareKind::Uefi, bus: Bus::Nvme, disk: Some(disk), ..Options::default() };
        let mut node = scenario.healthy(&options).context("the first boot")?;
        let sectors = node.guest.ask("cat /sys/class/block/nvme0n1/queue/logical_block_size")?;
        ensure!(sectors == "4096", "the drive's sectors have {sectors} bytes");
        grown(&mut node)?;
        proves_itself(&mut node)?;
        node.reboot_to_exit()?;
        let mut node = scenario.healthy(&options).context("the second boot")?;
        proves_itself(&mut node)?;
        node.power_off()
    });
}
