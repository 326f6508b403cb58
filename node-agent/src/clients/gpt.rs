//! The GUID partition table of a disk: read, given other identities, and written in an order that a power cut cannot break.
//! (UEFI 2.10, chapter 5.3)

use std::{fs::File, os::unix::fs::FileExt, path::Path};

use anyhow::{Context, Result, bail, ensure};

/// A GUID as the table has it.
pub type Guid = [u8; 16];

/// How a GUID's bytes lie in the table: the first three of its five groups are little-endian.
const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];

/// Larger tables are none that anybody makes.
const MAX_ENTRIES_BYTES: u64 = 1 << 20;

// The header's fields.
const SIZE: usize = 92;
const CHECKSUM: usize = 16;
const OWN_BLOCK: usize = 24;
const OTHER_BLOCK: usize = 32;
const DISK: usize = 56;
const ENTRIES_BLOCK: usize = 72;
const ENTRIES_CHECKSUM: usize = 88;
// An entry's.
const KIND: std::ops::Range<usize> = 0..16;
const IDENTITY: std::ops::Range<usize> = 16..32;

/// A table whose checksums are right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    block_bytes: u64,
    /// How many blocks the disk has.
    blocks: u64,
    header: [u8; SIZE],
    entries: Vec<u8>,
}

/// The GUID that people write as `text`.
///
/// # Errors
/// If it is none.
pub fn guid(text: &str) -> Result<Guid> {
    let digits: Vec<u8> = text.trim().bytes().filter(|byte| *byte != b'-').collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    ensure!(pairs.len() == 16 && rest.is_empty(), "{text:?} is no UUID");
    let mut guid = Guid::default();
    for (at, pair) in ORDER.into_iter().zip(pairs) {
        let pair = std::str::from_utf8(pair).with_context(|| format!("{text:?} is no UUID"))?;
        guid[at] = u8::from_str_radix(pair, 16).with_context(|| format!("{text:?} is no UUID"))?;
    }
    Ok(guid)
}

/// Reads the first table of the disk `device`, which has `bytes` bytes in blocks of `block_bytes`.
///
/// # Errors
/// If there is none, or it is damaged.
pub fn read(device: &Path, bytes: u64, block_bytes: u64) -> Result<Table> {
    let doing = || format!("reading the partition table of {}", device.display());
    let disk = File::open(device).with_context(doing)?;
    let mut header = [0; SIZE];
    disk.read_exact_at(&mut header, block_bytes).with_context(doing)?;
    let mut table = Table { block_bytes, blocks: bytes / block_bytes.max(1), header, entries: Vec::new() };
    let length = table.check_header().with_context(doing)?;
    table.entries = vec![0; length];
    let place = number(&table.header, ENTRIES_BLOCK, 8) * block_bytes;
    disk.read_exact_at(&mut table.entries, place).with_context(doing)?;
    let is_right = u64::from(crc32fast::hash(&table.entries)) == number(&table.header, ENTRIES_CHECKSUM, 4);
    ensure!(is_right, "{}: the checksum of its entries is wrong", doing());
    Ok(table)
}

impl Table {
    /// Whether one of the partitions has one of the identities `ids`.
    pub fn has_any(&self, ids: &[Guid]) -> bool {
        self.partitions().any(|entry| ids.iter().any(|id| *id == entry[IDENTITY]))
    }

    /// The same, with new identities for the partitions that have one of `ids`, and for the disk.
    ///
    /// # Errors
    /// If `new` gives none.
    pub fn renewed(&self, ids: &[Guid], mut new: impl FnMut() -> Result<Guid>) -> Result<Self> {
        let mut table = self.clone();
        table.header[DISK..DISK + 16].copy_from_slice(&new()?);
        for entry in table.entries.chunks_exact_mut(entry_bytes(&self.header)) {
            if is_used(entry) && ids.iter().any(|id| *id == entry[IDENTITY]) {
                entry[IDENTITY].copy_from_slice(&new()?);
            }
        }
        Ok(table)
    }

    /// Writes both tables of the disk: first the second one at its end, then the first. Whenever the power fails one of them is whole, and
    /// firmware and kernel take that.
    ///
    /// # Errors
    /// If it cannot be written, or the second table is not at the disk's end, where it would be looked for.
    #[expect(clippy::disallowed_methods, reason = "it is called on a thread of its own")]
    pub fn write(&self, device: &Path) -> Result<()> {
        let doing = || format!("writing the partition table of {}", device.display());
        let disk = File::options().read(true).write(true).open(device).with_context(doing)?;
        let last = self.blocks.saturating_sub(1);
        let other = number(&self.header, OTHER_BLOCK, 8);
        ensure!(other == last, "{}: its second table is in block {other}, not in the last one, {last}", doing());
        let length = self.entries.len() as u64;
        let before = last.checked_sub(length.div_ceil(self.block_bytes)).context("the disk is too small")?;
        for (own, other, entries) in [(last, 1, before), (1, last, number(&self.header, ENTRIES_BLOCK, 8))] {
            let header = self.header_for(own, other, entries);
            disk.write_all_at(&self.entries, entries * self.block_bytes).with_context(doing)?;
            // /init goes by the entries alone: never a new header over old ones.
            disk.sync_all().with_context(doing)?;
            disk.write_all_at(&header, own * self.block_bytes).with_context(doing)?;
            disk.sync_all().with_context(doing)?;
        }
        Ok(())
    }

    fn partitions(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.chunks_exact(entry_bytes(&self.header)).filter(|entry| is_used(entry))
    }

    fn header_for(&self, own: u64, other: u64, entries: u64) -> [u8; SIZE] {
        let mut header = self.header;
        header[OWN_BLOCK..OWN_BLOCK + 8].copy_from_slice(&own.to_le_bytes());
        header[OTHER_BLOCK..OTHER_BLOCK + 8].copy_from_slice(&other.to_le_bytes());
        header[ENTRIES_BLOCK..ENTRIES_BLOCK + 8].copy_from_slice(&entries.to_le_bytes());
        let checksum = crc32fast::hash(&self.entries);
        header[ENTRIES_CHECKSUM..ENTRIES_CHECKSUM + 4].copy_from_slice(&checksum.to_le_bytes());
        let checksum = checksum_of(&header);
        header[CHECKSUM..CHECKSUM + 4].copy_from_slice(&checksum.to_le_bytes());
        header
    }

    /// The length of its entries.
    fn check_header(&self) -> Result<usize> {
        let header = &self.header;
        if !header.starts_with(b"EFI PART") || number(header, 12, 4) != SIZE as u64 {
            bail!("there is no GUID partition table");
        }
        ensure!(u64::from(checksum_of(header)) == number(header, CHECKSUM, 4), "the checksum of its header is wrong");
        ensure!(number(header, OWN_BLOCK, 8) == 1, "it is not where it says");
        let (count, bytes) = (number(header, 80, 4), number(header, 84, 4));
        let length = count * bytes;
        ensure!(bytes >= 128 && (1..=MAX_ENTRIES_BYTES).contains(&length), "it has {count} entries of {bytes} bytes");
        Ok(usize::try_from(length)?)
    }
}

fn is_used(entry: &[u8]) -> bool {
    entry[KIND] != Guid::default()
}

fn entry_bytes(header: &[u8; SIZE]) -> usize {
    usize::try_from(number(header, 84, 4)).unwrap_or(128).max(128)
}

fn checksum_of(header: &[u8; SIZE]) -> u32 {
    let mut header = *header;
    header[CHECKSUM..CHECKSUM + 4].fill(0);
    crc32fast::hash(&header)
}

fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes[at..at + length].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests;
