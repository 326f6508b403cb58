//! Whether a release fits, before the first byte of it is fetched.

use crate::update::model::{Failure, FailureKind, Offer};

/// Room on the two file systems that a release is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Free bytes on ROOT.
    pub root_bytes: u64,
    /// Free inodes on ROOT.
    pub root_inodes: u64,
    /// Free bytes on the EFI system partition.
    pub esp_bytes: u64,
}

/// Folders, ostree's own metadata, temporary files, the journal: measured at 6 MB for a whole image.
const SLACK_BYTES: u64 = 32 << 20;
/// Folders of the object store (256) and of a deployment, metadata objects.
const SLACK_INODES: u64 = 2048;
/// FAT's clusters and the entry.
const SLACK_ESP_BYTES: u64 = 64 << 10;

/// Whether `offer` fits into `room`, `esp_bytes` being what is still to be written to the ESP.
///
/// # Errors
/// What is short, by how much, and what to do.
pub fn fits(offer: &Offer, room: Room) -> Result<(), Failure> {
    let (missing, total) = (offer.missing_bytes(), offer.total_bytes());
    // What is fetched unpacks in proportion; a manifest that claims less than what travels is not believed.
    let share = |whole: u64| {
        u64::try_from(u128::from(whole) * u128::from(missing) / u128::from(total.max(1))).unwrap_or(u64::MAX)
    };
    // libostree keeps a second copy of kernel and initramfs beside the object store.
    let root = share(offer.installed_bytes).max(missing).saturating_add(offer.boot_bytes).saturating_add(SLACK_BYTES);
    let inodes = share(offer.objects).saturating_add(SLACK_INODES);
    let esp = offer.boot_bytes.saturating_add(SLACK_ESP_BYTES);
    for (what, unit, needed, free) in [
        ("ROOT", "MB", root / 1_000_000, room.root_bytes / 1_000_000),
        ("ROOT", "inodes", inodes, room.root_inodes),
        ("the EFI system partition", "kB", esp / 1000, room.esp_bytes / 1000),
    ] {
        if needed > free {
            let message = format!(
                "release {} needs {needed} {unit} on {what}, {free} {unit} are free; ballast collect frees what is not needed, \
                 ballast releases shows what is pinned",
                offer.version
            );
            return Err(Failure { kind: FailureKind::NoSpace, message });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::{model::Layer, plan::tests::digest};

    const MB: u64 = 1_000_000;

    fn offer(missing: u64, present: u64) -> Offer {
        let layer = |bytes, is_present| Layer { bytes, is_present };
        Offer {
            digest: digest("c"),
            version: "2".into(),
            os_id: String::new(),
            architecture: String::new(),
            layers: vec![layer(missing, false), layer(present, true)],
            installed_bytes: 160 * MB,
            objects: 4000,
            boot_bytes: 10 * MB,
            signed_until: None,
        }
    }

    #[test]
    fn what_is_short_is_named_with_its_numbers() {
        let room = Room { root_bytes: 1000 * MB, root_inodes: 100_000, esp_bytes: 200 * MB };
        let short = |offer: &Offer, room| {
            fits(offer, room).map_err(|failure| failure.message.split(';').next().unwrap().to_owned())
        };
        let table = [
            (offer(70 * MB, 0), room, Ok(())),
            (offer(7 * MB, 63 * MB), Room { root_bytes: 70 * MB, ..room }, Ok(())),
            (
                offer(70 * MB, 0),
                Room { root_bytes: 100 * MB, ..room },
                Err("release 2 needs 203 MB on ROOT, 100 MB are free"),
            ),
            (
                offer(70 * MB, 0),
                Room { root_inodes: 6000, ..room },
                Err("release 2 needs 6048 inodes on ROOT, 6000 inodes are free"),
            ),
            (
                offer(7 * MB, 63 * MB),
                Room { esp_bytes: 9 * MB, ..room },
                Err("release 2 needs 10065 kB on the EFI system partition, 9000 kB are free"),
            ),
            (offer(999 << 40, 0), room, Err("release 2 needs 1098412159 MB on ROOT, 1000 MB are free")),
            (offer(u64::MAX, u64::MAX), room, Err("release 2 needs 18446744073709 MB on ROOT, 1000 MB are free")),
        ];
        for (offer, room, expected) in table {
            assert_eq!(short(&offer, room), expected.map_err(str::to_owned));
        }
    }
}
