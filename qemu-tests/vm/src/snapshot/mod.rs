//! Nodes that were booted once and go on many times: most scenarios begin with the same first boot, which is most of their time.
//!
//! ```text
//!  the first scenario that wants one:  boot, wait, check ──stop──> memory + disk + UEFI variables + console + boot id
//!                                                                     │ target/qemu-tests/snapshots/NAME-KEY/
//!  that one and each other one:        copy the disk, QEMU reads the memory, set the clock ──> Node
//! ```
//! What is restored was booted for real, by this image, this QEMU and this machine, since the host was booted: all that is in the key. It is
//! the same life each time: boot id, machine id and seeds of random numbers are those of the one boot.

mod folder;
mod hold;
mod key;
mod make;

use std::path::Path;

use anyhow::Result;

pub(crate) use self::folder::Folder;
use self::hold::Hold;
use crate::disk::Disk;
use crate::lab::Options;

/// What is saved: how it boots, and what it is called.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The name, in which there is no `-`
    pub name: &'static str,
    /// Without a disk: it gets its own
    pub options: Options,
    /// Whether that disk is raw, for more than one boot, or an overlay
    pub raw: bool,
}

/// A saved node; while this is held, nobody takes it away.
pub struct Snapshot {
    /// How it was booted, and how it is restored
    pub(crate) options: Options,
    /// Its disk, which nobody may write to
    pub(crate) disk: Disk,
    folder: Folder,
    _hold: Hold,
}

impl Snapshot {
    /// The file with its state.
    pub(crate) fn memory(&self) -> std::path::PathBuf {
        self.folder.memory()
    }

    /// What the console said.
    pub(crate) fn console(&self) -> Result<Vec<u8>> {
        self.folder.console()
    }

    /// What the guest calls its boot.
    pub(crate) fn boot_id(&self) -> Result<String> {
        self.folder.boot_id()
    }

    /// Copies its UEFI variables, if it has any, to where a machine with that scratch folder has them.
    pub(crate) fn variables_to(&self, scratch: &Path) -> Result<()> {
        self.folder.variables_to(scratch)
    }
}
