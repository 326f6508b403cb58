//! What is known of the disk that the node runs from, and of the partition that holds /var.

/// Its name in the partition table.
pub const VAR_LABEL: &str = "ballast-var";

/// The identities (PARTUUID) that ESP, ROOT and VAR have in every image, see image/disk/gpt. A node gives them its own at its first boot:
/// of two disks with the same ones nobody could say which was booted.
pub const IMAGE_IDS: [&str; 3] = [
    "ba11a570-0000-4000-8000-000000000001",
    "ba11a570-0000-4000-8000-000000000002",
    "ba11a570-0000-4000-8000-000000000003",
];

/// The disk and the partition that holds /var, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The disk that it is on, as `/dev/vda`.
    pub disk: String,
    /// Room behind it on the disk, up to the next partition or the end.
    pub slack_bytes: u64,
    /// Its size.
    pub partition_bytes: u64,
    /// The size of the file system in it.
    pub file_system_bytes: u64,
    /// Whether partitions of the disk still have the identities of the image.
    pub has_image_ids: bool,
}

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Grow the partition on this disk.
    GrowPartition {
        /// As `/dev/vda`.
        disk: String,
    },
    /// Grow the file system.
    GrowFileSystem,
    /// Give the partitions identities of their own.
    Identify,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_has_these_identities() {
        let gpt = include_str!("../../../image/disk/gpt");
        let ids: Vec<&str> = gpt.lines().filter_map(|line| line.split("uuid=").nth(1)?.split(',').next()).collect();
        assert_eq!(ids.iter().map(|id| id.to_ascii_lowercase()).collect::<Vec<_>>(), IMAGE_IDS);
    }
}
