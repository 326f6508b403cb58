//! I: the first boots of a disk that is larger than the image, and of one among others.

use anyhow::{Context, Result, ensure};
use qemu_vm::deadline::Deadline;
use qemu_vm::disk::Bus;
use qemu_vm::disk::Disk;
use qemu_vm::disk::entries::Tries;
use qemu_vm::disk::esp::Esp;
use qemu_vm::disk::gpt;
use qemu_vm::disk::image::SIZE_MIB;
use qemu_vm::installed::proves_itself;
use qemu_vm::lab::Options;
use qemu_vm::node::Node;
use qemu_vm::qemu::firmware::FirmwareKind;
use qemu_vm::scenario::Scenario;

/// What the second boot must find as the first one left it.
#[derive(Debug, PartialEq, Eq)]
struct Lasting {
    machine_id: String,
    var_sectors: String,
}

/// The identities of the partitions on `disk`.
fn ids(disk: &Disk) -> Result<Vec<[u8; 16]>> {
    Ok(gpt::read(&disk.file)?.into_iter().map(|partition| partition.id).collect())
}

/// The growth is done after READY; it is a matter of seconds, of more when emulated.
pub(crate) fn grown(node: &mut Node) -> Result<()> {
    let bytes = Deadline::secs(90).poll(std::time::Duration::from_secs(1), || {
        let blocks = node.guest.ask("stat --file-system --format='%b %S' /var")?;
        let (count, size) = blocks.split_once(' ').unwrap_or_default();
        let bytes = count.parse::<u64>()? * size.parse::<u64>()?;
        // Less ESP and ROOT, and what ext4 keeps for itself.
        Ok::<_, anyhow::Error>((bytes > ((SIZE_MIB - 2570) * 95 / 100) << 20).then_some(bytes))
    })?;
    ensure!(
        bytes.is_some(),
        "/var did not grow to the end of the disk: {}",
        node.guest.ask("df -k /var; cat /proc/partitions")?
    );
    Ok(())
}

fn lasting(node: &mut Node) -> Result<Lasting> {
    let device = node.guest.ask("basename $(findmnt --noheadings --output SOURCE /var)")?;
    let var_sectors = node.guest.ask(&format!("cat /sys/class/block/{device}/size"))?;
    Ok(Lasting { machine_id: node.status()?.node.machine_id, var_sectors })
}

/// First boot from a blank VAR through UEFI: READY, the disk grown, the entry blessed. The second boot of the
/// same disk finds that done: same identity, nothing grown again, nothing imported again. By then the partitions have identities of their own, and
/// a volume with another node on it, whose name comes first, is nothing but a volume.
#[test]
fn u01_i03_i07_first_boot_grows_the_disk_and_the_second_does_not_repeat_it() {
    Scenario::run("u01_i03_i07", |scenario| {
        let disk = scenario.disk()?;
        let before = Esp::of(&scenario.lab.tools, &disk.file)?.only_entry()?;
        ensure!(before.tries == Some(Tries { left: 3, done: 0 }), "a fresh disk's entry is {before}");
        let options = Options { firmware: FirmwareKind::Uefi, disk: Some(disk.clone()), ..Options::default() };

        let mut first = scenario.healthy(&options)?;
        let initramfs = first.guest.ask("cat /run/ballast/initramfs.json")?;
        ensure!(initramfs.contains("\"first_boot\":true"), "/init does not call it the first boot: {initramfs}");
        grown(&mut first)?;
        let left = lasting(&mut first)?;
        proves_itself(&mut first)?;
        first.guest.ask("echo kept >/var/lib/ballast/a-test-was-here")?;
        first.reboot_to_exit()?;

        let after = Esp::of(&scenario.lab.tools, &disk.file)?.only_entry()?;
        ensure!(after.stem == before.stem, "the entry {before} became {after}");
        ensure!(after.tries.is_none(), "a healthy boot turned {before} into {after}");
        let var = gpt::find(&disk.file, "ballast-var")?;
        let image = ids(&Disk::raw(scenario.lab.image.disk.clone()))?;
        let own = ids(&disk)?;
        ensure!(
            own.len() == 3 && own.iter().all(|id| !image.contains(id)),
            "the partitions are {own:?} as in the image"
        );

        let foreign = Disk::copy(&scenario.lab.image.disk, scenario.scratch().join("foreign.raw"))?;
        let volumes = vec![foreign.drive(Bus::Virtio)];
        let options = Options { bus: Bus::Nvme, volumes, ..options };
        let mut second = scenario.healthy(&options)?;
        let root = second.guest.ask("findmnt --noheadings --output SOURCE /sysroot")?;
        ensure!(root.starts_with("/dev/nvme0n1p2"), "ROOT is {root}, of the disk that was not booted");
        let initramfs = second.guest.ask("cat /run/ballast/initramfs.json")?;
        ensure!(initramfs.contains("\"first_boot\":false"), "/init calls it the first boot again: {initramfs}");
        let found = lasting(&mut second)?;
        ensure!(found == left, "the first boot left {left:?}, the second has {found:?}");
        ensure!(second.guest.ask("cat /var/lib/ballast/a-test-was-here")? == "kept", "/var was not kept");
        let looked = "systemctl show --property=ConditionResult --value ballast-first-boot.service";
        ensure!(second.guest.ask(looked)? == "no", "the second boot looked for settings on volumes again");
        let journal = second.guest.ask("journalctl --boot --no-pager --output=cat")?;
        for repeated in ["systemd-repart", "systemd-growfs", "resize2fs", "imported image", "unpacking localhost"] {
            let line = journal.lines().find(|line| line.contains(repeated));
            ensure!(line.is_none(), "the second boot did it again: {line:?}");
        }
        second.power_off()?;
        ensure!(gpt::find(&disk.file, "ballast-var")? == var, "the second boot changed the partition");
        ensure!(ids(&foreign)? == image, "the second boot wrote to the other disk");
        let entry = Esp::of(&scenario.lab.tools, &foreign.file)?.only_entry()?;
        ensure!(entry.tries == Some(Tries { left: 3, done: 0 }), "the other disk's entry is {entry}");
        ensure!(scenario.boots() == 2, "{} boots", scenario.boots());
        Ok(())
    });
}

/// Without UEFI nobody says which of two disks was booted: /init names both and takes none, unless the command line names one.
#[test]
fn i05_two_disks_that_cannot_be_distinguished_are_refused_by_name() {
    Scenario::run("i05_two_disks", |scenario| {
        let other = Disk::copy(&scenario.lab.image.disk, scenario.scratch().join("other.raw"))?;
        let options = Options { volumes: vec![other.drive(Bus::Virtio)], ..Options::default() };
        let lines = scenario.start(&options)?.ends(Deadline::secs(120))?;
        let said = lines.iter().find(|line| line.text.contains("ballast-init: root: ")).context("/init took one")?;
        for reported in ["vda2, vdb2", "root=PARTUUID="] {
            ensure!(said.text.contains(reported), "{reported} is not in: {}", said.text);
        }
        Ok(())
    });
}
