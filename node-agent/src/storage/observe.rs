//! Looks at the disk that the node runs from.

use std::path::Path;

use anyhow::Result;

use super::model::{Observed, VAR_LABEL};
use crate::clients::{
    disk::{self, Disk, Partition},
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
        slack_bytes: slack_bytes(&disk, var),
        partition_bytes: var.bytes,
        file_system_bytes: disk::ext4_bytes(&host.path(Path::new(&var.device)))?,
        disk: disk.device,
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
        let disk = Disk { device: String::new(), bytes: 100, partitions };
        assert_eq!(slack_bytes(&disk, &disk.partitions[0]), 5);
        assert_eq!(slack_bytes(&disk, &disk.partitions[1]), 70);
    }
}
