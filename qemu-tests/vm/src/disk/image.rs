//! The disk that a machine gets: a throwaway overlay, or a private raw copy that outlives one boot.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};

use crate::crash::run::Recording;
use crate::qemu::machine::{Drive, SECTOR_BYTES, WriteLog};
use crate::tools::{self, Tools};

/// Larger than the image as built, so that VAR has to grow on the first boot (U01).
pub const SIZE_MIB: u64 = 8 * 1024;

/// What the disk is plugged into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Bus {
    /// virtio-blk: /dev/vda
    #[default]
    Virtio,
    /// /dev/nvme0n1
    Nvme,
    /// virtio-scsi: /dev/sda
    Scsi,
    /// AHCI: /dev/sda
    Sata,
    /// A CD in a drive behind virtio-scsi: /dev/sr0; nothing boots from it here
    #[value(skip)]
    Cd,
}

/// A disk file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// Where it is
    pub file: PathBuf,
    format: &'static str,
    sector_bytes: u32,
    /// Where all that is written to it is recorded; the disk as it was before lies beside that
    log: Option<PathBuf>,
}

impl Disk {
    /// A raw disk that is there already.
    pub fn raw(file: PathBuf) -> Self {
        Self { file, format: "raw", sector_bytes: SECTOR_BYTES, log: None }
    }

    /// The same, with layers of its own.
    pub(crate) fn qcow2(file: PathBuf) -> Self {
        Self { file, format: "qcow2", sector_bytes: SECTOR_BYTES, log: None }
    }

    /// A new overlay over `base` in `scratch`: what the guest writes goes there, and `base` stays as it is.
    ///
    /// # Errors
    /// When qemu-img is missing or fails.
    pub fn overlay(tools: &Tools, base: &Path, scratch: &Path) -> Result<Self> {
        let base = base.canonicalize().with_context(|| format!("there is no disk at {}", base.display()))?;
        let file = scratch.join("disk.qcow2");
        let format = format_of(&base)?;
        let smallest = std::fs::metadata(&base).with_context(|| format!("looking at {}", base.display()))?.len();
        let bytes = smallest.max(SIZE_MIB << 20).to_string();
        let base = base.as_os_str();
        let words = ["create", "-q", "-f", "qcow2", "-F", format, "-b"].map(std::ffi::OsStr::new);
        let arguments = words.into_iter().chain([base, file.as_os_str(), bytes.as_ref()]);
        tools.output("qemu-img", arguments).context("making the throwaway overlay")?;
        Ok(Self::qcow2(file))
    }

    /// A raw copy of `base` (sparse as it is) under the name `file`, grown to [`SIZE_MIB`]: for tests that boot twice,
    /// or look at the disk from the host.
    ///
    /// # Errors
    /// When it cannot be copied or grown.
    pub fn copy(base: &Path, file: PathBuf) -> Result<Self> {
        copy_sparsely(base, &file)?;
        let copy = OpenOptions::new().write(true).open(&file).context("opening the copy of the disk")?;
        let length = copy.metadata().context("looking at the copy of the disk")?.len();
        copy.set_len(length.max(SIZE_MIB << 20)).context("growing the copy of the disk")?;
        Ok(Self::raw(file))
    }

    /// Another one with the same content, under the name `file`.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn duplicate(&self, file: PathBuf) -> Result<Self> {
        copy_sparsely(&self.file, &file)?;
        Ok(Self { file, ..self.clone() })
    }

    /// The same in a drive with sectors of `bytes`.
    pub fn with_sectors(self, bytes: u32) -> Self {
        Self { sector_bytes: bytes, ..self }
    }

    /// The same, recorded in `recording` from its next start on.
    pub fn recorded(self, recording: &Recording) -> Self {
        Self { log: Some(recording.log.clone()), ..self }
    }

    /// The same, recorded where `other` is.
    pub(crate) fn recorded_as(self, other: &Self) -> Self {
        Self { log: other.log.clone(), ..self }
    }

    /// Keeps the disk as it is before anything is recorded, if it is recorded and nothing is yet.
    ///
    /// # Errors
    /// When it cannot be copied, or the log cannot be made.
    pub(crate) fn begin_recording(&self) -> Result<()> {
        let Some(log) = self.log.as_deref().filter(|log| !log.exists()) else { return Ok(()) };
        copy_sparsely(&self.file, &Recording::at(log).base)?;
        File::create(log).with_context(|| format!("making {}", log.display())).map(drop)
    }

    /// When somebody last wrote to it.
    ///
    /// # Errors
    /// When it is gone.
    pub fn modified(&self) -> Result<SystemTime> {
        let time = std::fs::metadata(&self.file).and_then(|metadata| metadata.modified());
        time.with_context(|| format!("looking at {}", self.file.display()))
    }

    /// As QEMU sees it.
    pub fn drive(&self, bus: Bus) -> Drive {
        let goes_on = |log: &Path| std::fs::metadata(log).is_ok_and(|found| found.len() > 0);
        let log = self.log.as_ref().map(|log| WriteLog { file: log.clone(), append: goes_on(log) });
        let (file, format, sector_bytes) = (self.file.clone(), self.format, self.sector_bytes);
        Drive { file, format, bus, read_only: false, sector_bytes, log }
    }
}

/// cp knows about holes and reflinks; `std::fs::copy` would write three gigabytes of zeros.
fn copy_sparsely(from: &Path, to: &Path) -> Result<()> {
    let mut cp = Command::new("cp");
    cp.args(["--sparse=always", "--reflink=auto"]).arg(from).arg(to);
    tools::output("cp", &mut cp).with_context(|| format!("copying {}", from.display())).map(drop)
}

/// qcow2 files start with `QFI\xfb`; anything else is taken as raw.
fn format_of(path: &Path) -> Result<&'static str> {
    let mut magic = [0; 4];
    let mut file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let whole = file.read_exact(&mut magic).is_ok();
    Ok(if whole && &magic == b"QFI\xfb" { "qcow2" } else { "raw" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_reported_by_their_first_bytes() {
        let dir = tempfile::tempdir().unwrap();
        for (bytes, format) in [(&b"QFI\xfb\0\0"[..], "qcow2"), (b"\x33\xc0\x8e\xd0", "raw"), (b"", "raw")] {
            let path = dir.path().join("disk");
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(format_of(&path).unwrap(), format);
        }
    }

    #[test]
    fn a_copy_is_grown_and_the_base_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().join("base");
        std::fs::write(&base, "disk").unwrap();
        let copy = Disk::copy(&base, dir.path().join("copy")).unwrap();
        assert_eq!(std::fs::metadata(&copy.file).unwrap().len(), SIZE_MIB << 20);
        assert_eq!(std::fs::metadata(&base).unwrap().len(), 4);
    }
}
