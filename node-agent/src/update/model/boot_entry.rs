//! Boot entries: files on the EFI system partition, each with its deployment.

pub use ballast_types::{BootEntryName, Tries};

use super::DeploymentId;

/// A boot entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootEntry {
    /// The file's name, which has the boot loader's counter in it.
    pub name: BootEntryName,
    /// Which deployment it boots.
    pub deployment: DeploymentId,
    /// Its version.
    pub version: String,
    /// The kernel, as a path on the partition.
    pub linux: String,
    /// The initramfs, as a path on the partition.
    pub initrd: String,
    /// The kernel's command line.
    pub options: String,
}

impl BootEntry {
    /// Whether its tries are used up: the boot loader takes it only if there is nothing else.
    pub fn is_exhausted(&self) -> bool {
        self.name.tries().is_some_and(|tries| tries.left == 0)
    }

    /// Whether it has proved itself.
    pub fn is_blessed(&self) -> bool {
        self.name.tries().is_none()
    }
}
