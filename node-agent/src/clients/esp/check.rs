//! Mends the partition's file system before it is mounted, if the power may have failed while it was written to: FAT has no journal, and
//! two names may share their clusters then, so that removing the one would free the other's. Linux leaves a mark while it writes; the
//! firmware's driver, through which the boot loader counts a boot, leaves none.

use std::{
    fs::File,
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result};

use super::MOUNT_POINT;
use crate::clients::{efi, exec, host::Host};

/// Without asking anybody: what was cut short is dropped, what is whole stays.
const FSCK: &str = "/usr/sbin/fsck.fat";

/// It reads the tables and folders of 256 MiB.
const DEADLINE: Duration = Duration::from_secs(60);

/// Is there while the partition may hold what must not be removed: it was not closed properly, and could not be mended.
const UNSOUND: &str = "/run/ballast/esp-unsound";

/// Whether what a cut left there may be removed.
pub(super) fn is_sound(host: &Host) -> bool {
    !host.path(UNSOUND).exists()
}

/// Mends the file system on `device`, if it was not closed properly, or the boot loader wrote to it in this boot or one before.
///
/// # Errors
/// If it could not be mended. It can be mounted all the same: nothing is written over.
pub(super) async fn mend(host: &Host, device: &str) -> Result<()> {
    // An agent that is started again finds it mounted: it was looked at then, and the mark is the kernel's own. To mend a file system under
    // the kernel would destroy it.
    if host.read("looking at what is mounted on /efi", |host| Ok(is_mounted(host))).await? {
        return Ok(());
    }
    let partition = host.path(device);
    let is_dirty = host.read("reading the EFI system partition", move |_| is_dirty(&partition)).await.unwrap_or(false);
    let is_written = |host: &Host| Ok(efi::counted_entry(host)?.is_some());
    let is_counted = host.read("asking the firmware", is_written).await.unwrap_or(false);
    let why = match (is_dirty, is_counted) {
        (true, _) => "was not closed properly",
        (false, true) => "was written to by the boot loader",
        (false, false) => return Ok(()),
    };
    let unsound = host.path(UNSOUND);
    std::fs::write(&unsound, "").with_context(|| format!("writing {UNSOUND}"))?;
    let doing = || format!("checking the EFI system partition {device}, which {why}");
    let program = host.path(FSCK).display().to_string();
    // Status 1: there was something to mend, and it is.
    exec::run_allowing(&program, ["-a", "-w", device], DEADLINE, &[1]).await.with_context(doing)?;
    if is_dirty {
        log::info!("the EFI system partition {device} {why}; fsck.fat has mended it");
    }
    std::fs::remove_file(&unsound).with_context(|| format!("removing {UNSOUND}"))
}

/// Whether something is mounted on /efi: it lies on another device than /.
fn is_mounted(host: &Host) -> bool {
    let device = |path: &str| std::fs::metadata(host.path(path)).map(|found| found.dev());
    matches!((device(MOUNT_POINT), device("/")), (Ok(point), Ok(root)) if point != root)
}

/// Whether the kernel's mark that a FAT is in use is there (kernel: fs/fat/inode.c, `fat_set_state`).
fn is_dirty(device: &Path) -> Result<bool> {
    let mut sector = [0; 512];
    let read = File::open(device).and_then(|file| file.read_exact_at(&mut sector, 0));
    read.with_context(|| format!("reading {}", device.display()))?;
    Ok(has_mark(&sector))
}

fn has_mark(sector: &[u8; 512]) -> bool {
    const DIRTY: u8 = 1;
    // FAT32 has no size where FAT12 and FAT16 have theirs, and so a longer head.
    let state = if sector[22..24] == [0, 0] { sector[65] } else { sector[37] };
    state & DIRTY != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_read_from_either_kind_of_fat() {
        let mut sector = [0; 512];
        assert!(!has_mark(&sector));
        sector[65] = 1;
        assert!(has_mark(&sector));
        sector[22] = 32;
        assert!(!has_mark(&sector));
        sector[37] = 1;
        assert!(has_mark(&sector));
    }

    /// An agent that was killed in an upgrade left it mounted to be written to.
    #[tokio::test]
    async fn what_is_mounted_is_not_mended() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        std::fs::create_dir_all(host.path("/run/ballast")).unwrap();
        let mut sector = [0; 512];
        sector[65] = 1;
        std::fs::write(host.path("/esp"), sector).unwrap();
        // Another device lies there.
        std::os::unix::fs::symlink("/proc", host.path(MOUNT_POINT)).unwrap();
        mend(&host, "/esp").await.unwrap();
        assert!(is_sound(&host));
        std::fs::remove_file(host.path(MOUNT_POINT)).unwrap();
        assert!(mend(&host, "/esp").await.is_err());
    }

    #[tokio::test]
    async fn only_what_was_not_closed_is_checked_and_a_failure_is_reported() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        std::fs::create_dir_all(host.path("/run/ballast")).unwrap();
        std::fs::write(host.path("/esp"), [0; 512]).unwrap();
        mend(&host, "/esp").await.unwrap();
        let mut sector = [0; 512];
        sector[65] = 1;
        std::fs::write(host.path("/esp"), sector).unwrap();
        let error = format!("{:#}", mend(&host, "/esp").await.unwrap_err());
        assert!(error.contains("which was not closed properly"), "{error}");
        assert!(!is_sound(&host));
    }

    /// The crash state 73:torn:2:512:back of an upgrade: the boot loader's rename left two names with the same clusters, and no mark.
    #[tokio::test]
    async fn what_the_boot_loader_wrote_to_is_checked_without_a_mark() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        for (folder, file) in [("/run/ballast", ""), ("/sys/firmware/efi/efivars", efi::COUNTED)] {
            std::fs::create_dir_all(host.path(folder)).unwrap();
            if !file.is_empty() {
                std::fs::write(host.path(file), b"\x06\0\0\0\\\0a\0\0\0").unwrap();
            }
        }
        std::fs::write(host.path("/esp"), [0; 512]).unwrap();
        // Mounted already: another device lies there.
        std::os::unix::fs::symlink("/proc", host.path(MOUNT_POINT)).unwrap();
        mend(&host, "/esp").await.unwrap();
        std::fs::remove_file(host.path(MOUNT_POINT)).unwrap();
        let error = format!("{:#}", mend(&host, "/esp").await.unwrap_err());
        assert!(error.contains("which was written to by the boot loader"), "{error}");
        assert!(!is_sound(&host));
    }
}
