//! The log of a disk's writes, as QEMU's `blklogwrites` driver leaves it: the format of dm-log-writes, little-endian.
//! (kernel: Documentation/admin-guide/device-mapper/log-writes.rst, drivers/md/dm-log-writes.c; QEMU: block/blklogwrites.c)
//!
//! ```text
//!  sector 0: superblock │ entry, its data │ entry, its data │ …    each begins at a sector; a discard and a flush have no data
//! ```

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// `WRITE_LOG_MAGIC`.
const MAGIC: u64 = 0x006a_7366_7773_6872;
const VERSION: u64 = 1;
const FLUSH: u64 = 1;
const FUA: u64 = 2;
const DISCARD: u64 = 4;
const MARK: u64 = 8;
/// `LOG_METADATA_FLAG` of newer kernels: it says what a write is for, not what it does.
const METADATA: u64 = 16;
/// Its fields: sector, sectors, flags, length of what is no sectors (a mark's name).
const ENTRY_BYTES: usize = 32;

/// What a write does to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Data, from this place of the log file
    Data {
        /// In bytes from its start
        at: u64,
    },
    /// What was there is not needed any more; QEMU's raw disks have zeros there then
    Discard,
}

/// One write, or discard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// Where on the disk, in bytes
    pub offset: u64,
    /// How long, in bytes
    pub length: u64,
    /// What
    pub kind: Kind,
    /// Whether it was on the disk itself, past the disk's cache, when the guest was told that it is done (FUA)
    pub is_durable: bool,
}

/// What a guest asked of its disk, in the order in which it was told that it is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It writes
    Write(Write),
    /// All that was written before is on the disk itself
    Flush,
    /// Somebody noted this moment
    Mark(String),
}

/// A log that was read: its entries; the data stays in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The file
    pub path: PathBuf,
    /// A write lies in whole sectors of so many bytes
    pub sector_bytes: u64,
    /// All of them
    pub entries: Vec<Entry>,
}

impl Log {
    /// Reads the log at `path`.
    ///
    /// # Errors
    /// When it is none, or ends within an entry.
    pub fn read(path: &Path) -> Result<Self> {
        let doing = || format!("reading the log of writes {}", path.display());
        let file = File::open(path).with_context(doing)?;
        let head = Superblock::read(&file).with_context(doing)?;
        let length = file.metadata().with_context(doing)?.len();
        let mut entries = Vec::new();
        let mut at = head.sector_bytes;
        for number in 0..head.entries {
            let (entry, data_bytes) = entry(&file, at, head.sector_bytes)
                .with_context(|| format!("{}: entry {number} of {}, at byte {at}", doing(), head.entries))?;
            at += head.sector_bytes + data_bytes;
            // What QEMU zeroes is a hole in the file, and may lie behind its end.
            let is_data = data_bytes > 0 && matches!(entry.last(), Some(Entry::Write(_)));
            ensure!(
                !is_data || at <= length.next_multiple_of(head.sector_bytes),
                "{}: it ends within entry {number}",
                doing()
            );
            entries.extend(entry);
        }
        Ok(Self { path: path.to_owned(), sector_bytes: head.sector_bytes, entries })
    }

    /// The same with each commit of an ext4 journal durable by itself. Linux writes it so (FUA; kernel: fs/jbd2/commit.c,
    /// `journal_submit_commit_record`); QEMU's NVMe does not pass that on. Other disks get a flush behind it, which is in the log.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn with_durable_commits(mut self) -> Result<Self> {
        /// `JBD2_MAGIC_NUMBER` and `JBD2_COMMIT_BLOCK`, big-endian.
        const COMMIT: [u8; 8] = [0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, 2];
        let doing = || format!("reading the log of writes {}", self.path.display());
        let file = File::open(&self.path).with_context(doing)?;
        for entry in &mut self.entries {
            let Entry::Write(write @ Write { length: 1..=4096, kind: Kind::Data { .. }, .. }) = entry else { continue };
            let Kind::Data { at } = write.kind else { continue };
            let mut start = [0; COMMIT.len()];
            file.read_exact_at(&mut start, at).with_context(|| format!("reading {}", self.path.display()))?;
            write.is_durable |= start == COMMIT;
        }
        Ok(self)
    }

    /// How many entries the log at `path` has so far, while QEMU writes it.
    ///
    /// # Errors
    /// When it is no log, or has more than its superblock tells in an entry (`log-super-update-interval` is not 1).
    pub fn length(path: &Path) -> Result<u64> {
        let doing = || format!("reading the log of writes {}", path.display());
        let file = File::open(path).with_context(doing)?;
        Ok(Superblock::read(&file).with_context(doing)?.entries)
    }
}

/// What the log begins with.
struct Superblock {
    entries: u64,
    sector_bytes: u64,
}

impl Superblock {
    fn read(file: &File) -> Result<Self> {
        let mut bytes = [0; 28];
        file.read_exact_at(&mut bytes, 0).context("reading its superblock")?;
        let (magic, version, entries) = (number(&bytes, 0), number(&bytes, 8), number(&bytes, 16));
        ensure!(magic == MAGIC && version == VERSION, "it is no log of writes (magic {magic:#x}, version {version})");
        let sector_bytes = u64::from(u32::from_le_bytes([bytes[24], bytes[25], bytes[26], bytes[27]]));
        ensure!(
            sector_bytes.is_power_of_two() && (512..=1 << 20).contains(&sector_bytes),
            "it has sectors of {sector_bytes} bytes"
        );
        Ok(Self { entries, sector_bytes })
    }
}

/// The entry at `at`, as what it does one after the other, and how many bytes follow its sector.
fn entry(file: &File, at: u64, sector_bytes: u64) -> Result<(Vec<Entry>, u64)> {
    let mut bytes = [0; ENTRY_BYTES];
    file.read_exact_at(&mut bytes, at).context("the log ends before it")?;
    let [sector, sectors, flags, rest] = [0, 8, 16, 24].map(|field| number(&bytes, field));
    ensure!(flags & !(FLUSH | FUA | DISCARD | MARK | METADATA) == 0, "it has flags that nobody knows: {flags:#x}");
    if flags & MARK != 0 {
        let mut name = vec![0; usize::try_from(rest)?];
        file.read_exact_at(&mut name, at + sector_bytes).context("reading the name of a mark")?;
        let name = String::from_utf8(name).context("the name of a mark is no text")?;
        return Ok((vec![Entry::Mark(name)], rest.next_multiple_of(sector_bytes)));
    }
    let place = |sector: u64| sector.checked_mul(sector_bytes).context("it lies behind all that there is");
    let (offset, length) = (place(sector)?, place(sectors)?);
    ensure!(offset.checked_add(length).is_some(), "it lies behind all that there is");
    let mut done = Vec::new();
    // A write that is also a flush: what came before it is flushed first (kernel: block/blk-flush.c, PREFLUSH).
    if flags & FLUSH != 0 {
        done.push(Entry::Flush);
    }
    if length == 0 {
        ensure!(flags & FLUSH != 0, "it does nothing");
        return Ok((done, 0));
    }
    let is_discard = flags & DISCARD != 0;
    let kind = if is_discard { Kind::Discard } else { Kind::Data { at: at + sector_bytes } };
    done.push(Entry::Write(Write { offset, length, kind, is_durable: flags & FUA != 0 }));
    Ok((done, if is_discard { 0 } else { length }))
}

fn number(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// Writes logs: for tests, and for what is made from a recording.
#[derive(Debug)]
pub struct Writer {
    file: File,
    entries: u64,
    at: u64,
}

/// What [`Writer`] makes logs with.
const SECTOR_BYTES: u64 = 512;

impl Writer {
    /// A new log at `path`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("making the log {}", path.display()))?;
        Ok(Self { file, entries: 0, at: SECTOR_BYTES })
    }

    /// Adds a write of `data` at the byte `offset` of the disk.
    ///
    /// # Errors
    /// When it is no whole sectors, or the log cannot be written.
    pub fn write(&mut self, offset: u64, data: &[u8], is_durable: bool) -> Result<()> {
        ensure!(
            (data.len() as u64).is_multiple_of(SECTOR_BYTES) && !data.is_empty(),
            "{} bytes are no whole sectors",
            data.len()
        );
        self.put(offset, data.len() as u64, if is_durable { FUA } else { 0 }, data)
    }

    /// Adds a discard.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn discard(&mut self, offset: u64, length: u64) -> Result<()> {
        self.put(offset, length, DISCARD, &[])
    }

    /// Adds a flush.
    ///
    /// # Errors
    /// As [`Writer::write`].
    pub fn flush(&mut self) -> Result<()> {
        self.put(0, 0, FLUSH, &[])
    }

    fn put(&mut self, offset: u64, length: u64, flags: u64, data: &[u8]) -> Result<()> {
        if !offset.is_multiple_of(SECTOR_BYTES) || !length.is_multiple_of(SECTOR_BYTES) {
            bail!("{length} bytes at {offset} are no whole sectors");
        }
        let mut sector = vec![0; SECTOR_BYTES as usize];
        for (field, value) in [(0, offset / SECTOR_BYTES), (8, length / SECTOR_BYTES), (16, flags)] {
            sector[field..field + 8].copy_from_slice(&value.to_le_bytes());
        }
        sector.extend_from_slice(data);
        self.file.write_all_at(&sector, self.at).context("writing the log")?;
        self.at += sector.len() as u64;
        self.entries += 1;
        let mut head = vec![0; SECTOR_BYTES as usize];
        for (field, value) in [(0, MAGIC), (8, VERSION), (16, self.entries), (24, SECTOR_BYTES)] {
            head[field..field + 8].copy_from_slice(&value.to_le_bytes());
        }
        self.file.write_all_at(&head, 0).context("writing the log")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        (folder, path)
    }

    #[test]
    fn what_is_written_is_read() {
        let (_folder, path) = place();
        let mut writer = Writer::create(&path).unwrap();
        writer.write(1024, &[1; 512], false).unwrap();
        writer.flush().unwrap();
        writer.discard(0, 2048).unwrap();
        writer.write(512, &[2; 1024], true).unwrap();
        let log = Log::read(&path).unwrap();
        let write = |offset, length, kind, is_durable| Entry::Write(Write { offset, length, kind, is_durable });
        let want = [
            write(1024, 512, Kind::Data { at: 1024 }, false),
            Entry::Flush,
            write(0, 2048, Kind::Discard, false),
            write(512, 1024, Kind::Data { at: 3072 - 512 + 512 }, true),
        ];
        assert_eq!(log.entries, want);
        assert_eq!(Log::length(&path).unwrap(), 4);
        assert!(writer.write(5, &[0; 512], false).is_err());
    }

    #[test]
    fn a_mark_and_a_write_that_flushes_are_read() {
        let (_folder, path) = place();
        let mut writer = Writer::create(&path).unwrap();
        writer.put(512, 512, FLUSH | FUA | METADATA, &[7; 512]).unwrap();
        writer.put(0, 0, FLUSH, &[]).unwrap();
        // The kernel's own marks: the name is no sectors, but data_len bytes.
        let at = writer.at;
        let mut sector = vec![0; 1024];
        sector[16..24].copy_from_slice(&MARK.to_le_bytes());
        sector[24..32].copy_from_slice(&5_u64.to_le_bytes());
        sector[512..517].copy_from_slice(b"fetch");
        writer.file.write_all_at(&sector, at).unwrap();
        writer.file.write_all_at(&3_u64.to_le_bytes(), 16).unwrap();
        let log = Log::read(&path).unwrap();
        let durable = Write { offset: 512, length: 512, kind: Kind::Data { at: 1024 }, is_durable: true };
        assert_eq!(log.entries, [Entry::Flush, Entry::Write(durable), Entry::Flush, Entry::Mark("fetch".into())]);
    }

    #[test]
    fn what_is_no_log_or_cut_short_is_refused() {
        let (_folder, path) = place();
        std::fs::write(&path, [0; 1024]).unwrap();
        assert!(format!("{:#}", Log::read(&path).unwrap_err()).contains("no log of writes"));
        let mut writer = Writer::create(&path).unwrap();
        writer.write(0, &[1; 4096], false).unwrap();
        std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(2048).unwrap();
        let error = format!("{:#}", Log::read(&path).unwrap_err());
        assert!(error.contains("it ends within entry 0"), "{error}");
        std::fs::write(&path, [1; 100]).unwrap();
        assert!(Log::read(&path).is_err());
    }

    #[test]
    fn a_commit_of_a_journal_is_durable_where_it_is_asked_for() {
        let (_folder, path) = place();
        let mut writer = Writer::create(&path).unwrap();
        for kind in [1, 2] {
            let mut block = vec![0; 4096];
            block[..8].copy_from_slice(&[0xc0, 0x3b, 0x39, 0x98, 0, 0, 0, kind]);
            writer.write(0, &block, false).unwrap();
        }
        writer.discard(0, 4096).unwrap();
        let durable = |log: Log| -> Vec<bool> {
            log.entries.iter().map(|entry| matches!(entry, Entry::Write(write) if write.is_durable)).collect()
        };
        let log = Log::read(&path).unwrap();
        assert_eq!(durable(log.clone()), [false; 3]);
        assert_eq!(durable(log.with_durable_commits().unwrap()), [false, true, false]);
    }

    #[test]
    fn a_flag_that_nobody_knows_is_refused() {
        let (_folder, path) = place();
        let mut writer = Writer::create(&path).unwrap();
        writer.put(0, 512, 1 << 40, &[0; 512]).unwrap();
        assert!(format!("{:#}", Log::read(&path).unwrap_err()).contains("flags that nobody knows"));
    }
}
