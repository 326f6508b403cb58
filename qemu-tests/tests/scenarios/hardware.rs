//! I05: the machines that the image boots on: each disk bus on each board, with few and many CPUs, little and much memory.
//!
//! |        | virtio-blk      | virtio-scsi    | NVMe           | SATA          |
//! |--------|-----------------|----------------|----------------|---------------|
//! | q35    | 1 CPU, 8 GiB    | 2 CPUs, 512 MiB | 8 CPUs, 2 GiB | 4 CPUs, 1 GiB |
//! | i440fx | 8 CPUs, 512 MiB | 4 CPUs, 8 GiB  | 1 CPU, 1 GiB   | 2 CPUs, 2 GiB |
//!
//! Each number of CPUs and each size of memory is in both rows, and no two cells share both. All through UEFI: firmware, boot
//! loader and entry find the disk by other drivers than the kernel does.

use anyhow::{Context, Result, ensure};
use qemu_vm::disk::Bus;
use qemu_vm::lab::Options;
use qemu_vm::node::Node;
use qemu_vm::qemu::firmware::FirmwareKind;
use qemu_vm::qemu::machine::Chipset;
use qemu_vm::scenario::Scenario;

use crate::install::grown;

/// Boots to READY with the invariants, and grows its disk; checks that it is the machine of the table.
fn boots_on(chipset: Chipset, bus: Bus, smp: u32, memory_mib: u32) {
    let name = format!("i05_{bus:?}_{chipset:?}").to_lowercase();
    Scenario::run(&name, |scenario| {
        let options = Options { firmware: FirmwareKind::Uefi, chipset, bus, smp, memory_mib, ..Options::default() };
        let mut node = scenario.healthy(&options)?;
        let initramfs = node.guest.ask("cat /run/ballast/initramfs.json")?;
        let device = match bus {
            Bus::Virtio => "/dev/vda2",
            Bus::Scsi | Bus::Sata => "/dev/sda2",
            Bus::Nvme => "/dev/nvme0n1p2",
            Bus::Cd => anyhow::bail!("nothing boots from a CD here"),
        };
        ensure!(initramfs.contains(&format!("\"root_device\":\"{device}\"")), "ROOT is not {device}: {initramfs}");
        is_the_machine(&mut node, chipset, smp, memory_mib)?;
        grown(&mut node)?;
        node.power_off()
    });
}

/// The guest must see what was asked for: all of its CPUs started, all of its memory, that board.
fn is_the_machine(node: &mut Node, chipset: Chipset, smp: u32, memory_mib: u32) -> Result<()> {
    let board = node.guest.ask("cat /sys/class/dmi/id/product_name")?;
    let known = match chipset {
        Chipset::Q35 => "Q35",
        Chipset::I440fx => "i440FX",
    };
    ensure!(board.contains(known), "the board is {board:?}");
    let cpus = node.guest.ask("cat /sys/devices/system/cpu/online")?;
    let all = if smp == 1 { "0".to_owned() } else { format!("0-{}", smp - 1) };
    ensure!(cpus == all, "of {smp} CPUs those online are {cpus}");
    let meminfo = node.guest.ask("cat /proc/meminfo")?;
    let total = meminfo.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).context("no MemTotal")?;
    // The kernel, its tables and the firmware take their part before MemTotal is counted.
    let mib = u64::from(memory_mib);
    ensure!(total >> 10 <= mib && total >> 10 >= mib * 80 / 100, "of {mib} MiB there are {total} KiB");
    Ok(())
}

#[test]
fn i05_virtio_scsi_on_i440fx() {
    boots_on(Chipset::I440fx, Bus::Scsi, 4, 8192);
}

#[test]
fn i05_nvme_on_q35() {
    boots_on(Chipset::Q35, Bus::Nvme, 8, 2048);
}

#[test]
fn i05_sata_on_i440fx() {
    boots_on(Chipset::I440fx, Bus::Sata, 2, 2048);
}

/// The rest of the table. Virtio block on q35 is what every other scenario boots on; make test has each other bus, and each board.
#[cfg(feature = "soak")]
mod soak {
    use super::*;

    #[test]
    fn i05_virtio_blk_on_i440fx() {
        boots_on(Chipset::I440fx, Bus::Virtio, 8, 512);
    }

    #[test]
    fn i05_virtio_blk_on_q35() {
        boots_on(Chipset::Q35, Bus::Virtio, 1, 8192);
    }

    #[test]
    fn i05_virtio_scsi_on_q35() {
        boots_on(Chipset::Q35, Bus::Scsi, 2, 512);
    }

    #[test]
    fn i05_nvme_on_i440fx() {
        boots_on(Chipset::I440fx, Bus::Nvme, 1, 1024);
    }

    #[test]
    fn i05_sata_on_q35() {
        boots_on(Chipset::Q35, Bus::Sata, 4, 1024);
    }
}
