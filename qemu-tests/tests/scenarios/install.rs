//! I: the first boots of a disk that is larger than the image.

use anyhow::{Result, ensure};
use qemu_tests::deadline::Deadline;
use qemu_tests::disk::entries::Tries;
use qemu_tests::disk::esp::Esp;
use qemu_tests::disk::gpt;
use qemu_tests::disk::image::SIZE_MIB;
use qemu_tests::installed::proves_itself;
use qemu_tests::lab::Options;
use qemu_tests::node::Node;
use qemu_tests::qemu::firmware::FirmwareKind;
use qemu_tests::scenario::Scenario;

/// What the second boot must find as the first one left it.
#[derive(Debug, PartialEq, Eq)]
struct Lasting {
    machine_id: String,
    partitions: String,
}

/// The growth is done after READY; it is a matter of seconds, of more when emulated.
pub(crate) fn grown(node: &mut Node) -> Result<()> {
    let bytes = Deadline::secs(90).poll(std::time::Duration::from_secs(1), || {
        let blocks = node.guest.ask("stat --file-system --format='%b %S' /var")?;
        let (count, size) = blocks.split_once(' ').unwrap_or_default();
        let bytes = count.parse::<u64>()? * size.parse::<u64>()?;
        // Less ESP and ROOT, and what ext4 keeps for itself.
        Ok::<_, anyhow::Error>((bytes > ((SIZE_MIB - 2562) * 95 / 100) << 20).then_some(bytes))
    })?;
    ensure!(
        bytes.is_some(),
        "/var did not grow to the end of the disk: {}",
        node.guest.ask("df -k /var; cat /proc/partitions")?
    );
    Ok(())
}

fn lasting(node: &mut Node) -> Result<Lasting> {
    Ok(Lasting { machine_id: node.status()?.node.machine_id, partitions: node.guest.ask("cat /proc/partitions")? })
}

/// First boot from a blank VAR through UEFI: READY, the disk grown, the entry blessed. The second boot of the
/// same disk finds that done: same identity, nothing grown again, nothing imported again.
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

        let mut second = scenario.healthy(&options)?;
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
        ensure!(scenario.boots() == 2, "{} boots", scenario.boots());
        Ok(())
    });
}
