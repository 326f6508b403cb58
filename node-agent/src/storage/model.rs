//! What is known of the partition that holds /var.

/// Its name in the partition table.
pub const VAR_LABEL: &str = "ballast-var";

/// The partition that holds /var, at one moment.
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
}

/// What to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Grow the partition on this disk, and then the file system.
    GrowBoth {
        /// As `/dev/vda`.
        disk: String,
    },
    /// Grow the file system only: an earlier growing was interrupted between the two.
    GrowFileSystem,
}
