//! Looks at the disk that the node runs from.

use std::path::Path;

use anyhow::{Context, Result};
use rustix::{
    fs::{StatVfsMountFlags, statvfs},
    io::Errno,
};

use super::model::{IMAGE_IDS, Observed, VAR_LABEL};
use crate::clients::{
    disk::{self, Disk, Partition},
    gpt::{self, Guid, Table},
    host::Host,
};

/// The partition of /var on the disk that /sysroot is on; None where there is no such disk.
///
/// # Errors
/// If the disk is there and cannot be read.
pub fn observe(host: &Host) -> Result<Option<Observed>> {
    let Some(disk) = Disk::below(host, "/sysroot")? else { return Ok(None) };
    let Some(var) = disk.partition(VAR_LABEL) else { return Ok(None) };
    Ok(Some(Observed {
        has_image_ids: table(host, &disk)?.has_any(&image_ids()?),
        slack_bytes: slack_bytes(&disk, var),
        partition_bytes: var.bytes,
        file_system_bytes: disk::ext4_bytes(&host.path(Path::new(&var.device)))?,
        disk: disk.device,
    }))
}

/// The partition table of `disk`.
pub(super) fn table(host: &Host, disk: &Disk) -> Result<Table> {
    gpt::read(&host.path(Path::new(&disk.device)), disk.bytes, disk.block_bytes)
}

/// The identities of the image, as a table has them.
pub(super) fn image_ids() -> Result<Vec<Guid>> {
    IMAGE_IDS.into_iter().map(gpt::guid).collect()
}

/// What is wrong with /var, in one sentence: the kernel makes a damaged file system read-only.
///
/// # Errors
/// If it cannot be looked at.
pub fn var_problem(host: &Host) -> Result<Option<String>> {
    let is_read_only = match statvfs(host.path("/var")) {
        Err(Errno::NOENT) => false,
        found => found.context("looking at /var")?.f_flag.contains(StatVfsMountFlags::RDONLY),
    };
    Ok(is_read_only.then(|| {
        "/var is read-only since the kernel found damage in its file system (see dmesg); a reboot checks and mends it".to_owned()
    }))
}

fn slack_bytes(disk: &Disk, partition: &Partition) -> u64 {
    let end = partition.start_bytes + partition.bytes;
    let later = disk.partitions.iter().map(|other| other.start_bytes).filter(|start| *start >= end);
    later.min().unwrap_or(disk.bytes).saturating_sub(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slack_ends_at_the_next_partition_or_the_end_of_the_disk() {
        let partition = |label: &str, start_bytes, bytes| Partition {
            device: String::new(),
            label: label.to_owned(),
            start_bytes,
            bytes,
        };
        let partitions = vec![partition("a", 10, 10), partition("b", 25, 5)];
        let disk = Disk { device: String::new(), bytes: 100, block_bytes: 512, partitions };
        assert_eq!(slack_bytes(&disk, &disk.partitions[0]), 5);
        assert_eq!(slack_bytes(&disk, &disk.partitions[1]), 70);
    }
}
