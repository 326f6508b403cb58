//! The two partition tables of the disk: which of them is whole, and what it says. (UEFI 2.10, chapter 5.3)

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result};

use super::super::disk::{Region, Scratch};

const SECTOR: u64 = 512;
const HEADER_BYTES: usize = 92;
/// All that anybody makes: 128 entries of 128 bytes.
const ENTRIES_BYTES: u64 = 128 * 128;

/// A partition, as a table that is whole has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its label
    pub label: String,
    /// Its first byte
    pub start: u64,
    /// The byte behind its last
    pub end: u64,
}

/// What the tables say; none where the checksums are wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// The first one
    pub first: Option<Vec<Partition>>,
    /// The one at the disk's end, which firmware takes if the first is damaged
    pub second: Option<Vec<Partition>>,
}

/// Reads both.
pub(super) fn read(scratch: &Scratch) -> Result<Tables> {
    let head = File::open(scratch.path(Region::Head)).context("opening the head of the disk")?;
    let tail = File::open(scratch.path(Region::Var)).context("opening the end of the disk")?;
    let length = tail.metadata().context("looking at the end of the disk")?.len();
    let sectors = length / SECTOR;
    let before = sectors.saturating_sub(1 + ENTRIES_BYTES / SECTOR) * SECTOR;
    Ok(Tables {
        first: whole(&head, SECTOR, 2 * SECTOR, Some(1))?,
        second: whole(&tail, sectors.saturating_sub(1) * SECTOR, before, None)?,
    })
}

/// The table whose header is at the byte `header` and whose entries are at `entries`, if it is whole.
fn whole(file: &File, header: u64, entries: u64, own_block: Option<u64>) -> Result<Option<Vec<Partition>>> {
    let mut head = [0; HEADER_BYTES];
    file.read_exact_at(&mut head, header).context("reading a partition table")?;
    let mut bytes = vec![0; usize::try_from(ENTRIES_BYTES)?];
    file.read_exact_at(&mut bytes, entries).context("reading a partition table")?;
    let (sum, entries_sum) = (number(&head, 16, 4), number(&head, 88, 4));
    let mut unsigned = head;
    unsigned[16..20].fill(0);
    let is_whole = head.starts_with(b"EFI PART")
        && number(&head, 80, 4) * number(&head, 84, 4) == ENTRIES_BYTES
        && own_block.is_none_or(|block| number(&head, 24, 8) == block)
        && checksum(&unsigned) == sum
        && checksum(&bytes) == entries_sum;
    let used = bytes.chunks(128).filter(|entry| entry[..16].iter().any(|byte| *byte != 0));
    Ok(is_whole.then(|| used.map(partition).collect()))
}

fn partition(entry: &[u8]) -> Partition {
    let units: Vec<u16> = entry[56..128].chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let label = String::from_utf16_lossy(&units).trim_end_matches('\0').to_owned();
    Partition { label, start: number(entry, 32, 8) * SECTOR, end: (number(entry, 40, 8) + 1) * SECTOR }
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut sum = flate2::Crc::new();
    sum.update(bytes);
    u64::from(sum.sum())
}

fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    bytes[at..at + length].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}
