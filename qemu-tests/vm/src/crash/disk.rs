//! The disk of a recording, as it would be after a cut: a copy in memory, in a file for each partition, to which writes are applied and
//! taken back.
//!
//! ```text
//!  head │ ESP │ ROOT │ VAR …             what lies before, between and behind the partitions belongs to the file before it
//! ```
//! The files lie in memory (/dev/shm): what e2fsck syncs costs nothing there.

use std::fs::{File, OpenOptions};
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rustix::fs::SeekFrom;
use tempfile::TempDir;

use super::cut::Piece;
use super::log::{Kind, Write};
use crate::disk::gpt;

/// What is compared and remembered at a time.
const SECTOR: usize = 512;
/// What is read and written at a time.
const CHUNK: usize = 1 << 20;
/// What a hole reads as.
static ZEROS: [u8; CHUNK] = [0; CHUNK];
/// Memory that looks like a file system, on every Linux.
const MEMORY: &str = "/dev/shm";

/// A part of the disk, with a file of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Region {
    /// The first partition table
    Head,
    /// The EFI system partition
    Esp,
    /// ROOT
    Root,
    /// VAR, and the second partition table
    Var,
}

/// All of them, in the order in which they lie on the disk.
pub const REGIONS: [Region; 4] = [Region::Head, Region::Esp, Region::Root, Region::Var];

impl Region {
    fn name(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Esp => "esp",
            Self::Root => "root",
            Self::Var => "var",
        }
    }

    fn label(self) -> Option<&'static str> {
        match self {
            Self::Head => None,
            Self::Esp => Some("ballast-esp"),
            Self::Root => Some("ballast-root"),
            Self::Var => Some("ballast-var"),
        }
    }
}

/// One region's file.
#[derive(Debug)]
struct Part {
    region: Region,
    /// Where it starts on the disk, and where it ends, in bytes
    start: u64,
    end: u64,
    file: File,
    path: PathBuf,
    /// Tells the content of the region from any other that it had: changes with each sector.
    fingerprint: u64,
}

/// A sector before it was written to.
#[derive(Debug)]
struct Before {
    part: usize,
    at: u64,
    bytes: [u8; SECTOR],
}

/// The disk in memory.
#[derive(Debug)]
pub struct Scratch {
    parts: Vec<Part>,
    log: File,
    undo: Vec<Before>,
    folder: TempDir,
}

impl Scratch {
    /// A copy of the raw disk at `base`, for writes out of the log at `log`.
    ///
    /// # Errors
    /// When the disk has not the partitions of a node, or there is no room for it.
    pub fn of(base: &Path, log: &Path) -> Result<Self> {
        let doing = || format!("copying {} to memory", base.display());
        let source = File::open(base).with_context(doing)?;
        let end = source.metadata().with_context(doing)?.len();
        let log = File::open(log).with_context(|| format!("opening {}", log.display()))?;
        let memory =
            Some(Path::new(MEMORY)).filter(|memory| memory.is_dir()).map_or_else(std::env::temp_dir, Path::to_owned);
        let folder = tempfile::Builder::new()
            .prefix("ballast-crash-")
            .tempdir_in(memory)
            .context("making a folder in memory")?;
        let mut starts = Vec::new();
        for region in REGIONS {
            starts
                .push(region.label().map_or(Ok(0), |label| gpt::find(base, label).map(|partition| partition.offset))?);
        }
        ensure!(starts.is_sorted(), "the partitions of {} do not lie in the order ESP, ROOT, VAR", base.display());
        let ends = starts.iter().skip(1).copied().chain([end]);
        let mut parts = Vec::new();
        for ((region, start), end) in REGIONS.into_iter().zip(starts.iter().copied()).zip(ends) {
            let path = folder.path().join(region.name());
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create_new(true).open(&path).with_context(doing)?;
            file.set_len(end - start).with_context(doing)?;
            copy_data(&source, start..end, &file).with_context(doing)?;
            parts.push(Part { region, start, end, file, path, fingerprint: 0 });
        }
        Ok(Self { parts, log, undo: Vec::new(), folder })
    }

    /// The file of one region.
    pub fn path(&self, region: Region) -> &Path {
        self.parts.iter().find(|part| part.region == region).map_or(self.folder.path(), |part| &part.path)
    }

    /// A folder in memory, beside the files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Tells the content of `region` from any other that it had.
    pub fn fingerprint(&self, region: Region) -> u64 {
        self.parts.iter().find(|part| part.region == region).map_or(0, |part| part.fingerprint)
    }

    /// Which regions `write` changes.
    pub fn regions_of(&self, write: &Write) -> Vec<Region> {
        let touched = |part: &&Part| write.offset < part.end && write.offset + write.length > part.start;
        self.parts.iter().filter(touched).map(|part| part.region).collect()
    }

    /// Writes what `pieces` of `writes` say; [`Scratch::take_back`] undoes it.
    ///
    /// # Errors
    /// When the log or the files cannot be read or written.
    pub fn apply(&mut self, writes: &[Write], pieces: &[Piece]) -> Result<()> {
        pieces.iter().try_for_each(|piece| self.apply_piece(&writes[piece.write], piece))
    }

    /// Undoes all since the last [`Scratch::keep`].
    ///
    /// # Errors
    /// As [`Scratch::apply`].
    pub fn take_back(&mut self) -> Result<()> {
        while let Some(Before { part, at, bytes }) = self.undo.pop() {
            let part = &mut self.parts[part];
            let mut now = [0; SECTOR];
            part.file.read_exact_at(&mut now, at).context("reading the disk in memory")?;
            part.fingerprint ^= mark(at, &now) ^ mark(at, &bytes);
            part.file.write_all_at(&bytes, at).context("writing the disk in memory")?;
        }
        Ok(())
    }

    /// What was applied stays.
    pub fn keep(&mut self) {
        self.undo.clear();
    }

    /// Writes the disk as it is now to the raw file `to`, sparsely.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, to: &Path) -> Result<()> {
        let doing = || format!("writing the disk to {}", to.display());
        let file = File::create(to).with_context(doing)?;
        file.set_len(self.parts.last().map_or(0, |part| part.end)).with_context(doing)?;
        for part in &self.parts {
            copy_onto(&part.file, 0..part.end - part.start, &file, part.start).with_context(doing)?;
        }
        Ok(())
    }

    fn apply_piece(&mut self, write: &Write, piece: &Piece) -> Result<()> {
        let mut bytes = vec![0; CHUNK.min(usize::try_from(piece.to - piece.from)?)];
        let mut from = piece.from;
        while from < piece.to {
            let length = bytes.len().min(usize::try_from(piece.to - from)?);
            let chunk = &mut bytes[..length];
            match write.kind {
                Kind::Data { at } => read_or_zero(&self.log, chunk, at + from).context("reading the log")?,
                Kind::Discard => chunk.fill(0),
            }
            self.put(write.offset + from, chunk)?;
            from += length as u64;
        }
        Ok(())
    }

    fn put(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut old = vec![0; bytes.len()];
        for (index, part) in self.parts.iter_mut().enumerate() {
            let (from, to) = (offset.max(part.start), (offset + bytes.len() as u64).min(part.end));
            if from >= to {
                continue;
            }
            let new = &bytes[usize::try_from(from - offset)?..usize::try_from(to - offset)?];
            let old = &mut old[..new.len()];
            let at = from - part.start;
            part.file.read_exact_at(old, at).context("reading the disk in memory")?;
            for ((old, new), number) in old.chunks(SECTOR).zip(new.chunks(SECTOR)).zip(0..) {
                if old != new {
                    let at = at + number * SECTOR as u64;
                    let bytes = <[u8; SECTOR]>::try_from(old).context("a write that is no whole sectors")?;
                    part.fingerprint ^= mark(at, old) ^ mark(at, new);
                    self.undo.push(Before { part: index, at, bytes });
                    part.file.write_all_at(new, at).context("writing the disk in memory")?;
                }
            }
        }
        Ok(())
    }
}

/// One sector's share of a fingerprint.
fn mark(at: u64, bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write_u64(at);
    hasher.write(bytes);
    hasher.finish()
}

/// Behind the end of the log there is what QEMU zeroed and did not write.
fn read_or_zero(file: &File, bytes: &mut [u8], at: u64) -> std::io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match file.read_at(&mut bytes[done..], at + done as u64)? {
            0 => break,
            length => done += length,
        }
    }
    bytes[done..].fill(0);
    Ok(())
}

/// Copies what is no hole of a part of `from` to the start of `to`.
fn copy_data(from: &File, range: std::ops::Range<u64>, to: &File) -> Result<()> {
    copy_onto(from, range, to, 0)
}

/// Copies a file of the disk, sparsely.
pub(super) fn duplicate(from: &Path, to: &Path) -> Result<()> {
    let doing = || format!("copying {}", from.display());
    let source = File::open(from).with_context(doing)?;
    let length = source.metadata().with_context(doing)?.len();
    let copy = File::create(to).with_context(doing)?;
    copy.set_len(length).with_context(doing)?;
    copy_onto(&source, 0..length, &copy, 0).with_context(doing)
}

/// Copies what is no hole of the bytes `range` of `from` to `to`, from `onto` on.
fn copy_onto(from: &File, range: std::ops::Range<u64>, to: &File, onto: u64) -> Result<()> {
    let mut bytes = vec![0; CHUNK];
    let mut at = range.start;
    while at < range.end {
        let data = match rustix::fs::seek(from, SeekFrom::Data(at)) {
            Ok(data) if data < range.end => data,
            Ok(_) | Err(rustix::io::Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(from, SeekFrom::Hole(data))?.min(range.end);
        at = data;
        while at < end {
            let chunk = &mut bytes[..usize::try_from((end - at).min(CHUNK as u64))?];
            from.read_exact_at(chunk, at)?;
            // What is zeros is left a hole.
            if *chunk != ZEROS[..chunk.len()] {
                to.write_all_at(chunk, onto + (at - range.start))?;
            }
            at += chunk.len() as u64;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
