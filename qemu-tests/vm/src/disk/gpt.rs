//! The partition table (GPT, UEFI specification 5.3), read only as far as finding partitions by label takes.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// Every disk and image here has 512-byte sectors.
const SECTOR: u64 = 512;
/// More than the 128 that every tool makes is a damaged table.
const ENTRIES_MAX: u32 = 1024;

/// A partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number, from 1
    pub number: u32,
    /// Its label, such as `ballast-root`
    pub label: String,
    /// Its identity (PARTUUID), as the table has it
    pub id: [u8; 16],
    /// Where it starts, in bytes
    pub offset: u64,
    /// How long it is, in bytes
    pub length: u64,
}

/// The partitions of the raw disk at `path`.
///
/// # Errors
/// When it cannot be read or has no GPT.
pub fn read(path: &Path) -> Result<Vec<Partition>> {
    let disk = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    let mut header = [0; 92];
    disk.read_exact_at(&mut header, SECTOR).with_context(|| format!("reading the GPT of {}", path.display()))?;
    let table = Table::parse(&header).with_context(|| format!("reading the GPT of {}", path.display()))?;
    let mut entries = vec![0; table.entry_bytes * table.entries as usize];
    disk.read_exact_at(&mut entries, table.offset).context("reading the GPT's entries")?;
    Ok(entries.chunks(table.entry_bytes).zip(1..).filter_map(|(entry, number)| partition(entry, number)).collect())
}

/// The partition labelled `label` of the raw disk at `path`.
///
/// # Errors
/// When there is none.
pub fn find(path: &Path, label: &str) -> Result<Partition> {
    let all = read(path)?;
    let labels: Vec<_> = all.iter().map(|partition| partition.label.clone()).collect();
    all.into_iter()
        .find(|partition| partition.label == label)
        .with_context(|| format!("{} has no partition {label}, only {}", path.display(), labels.join(", ")))
}

/// Adds a partition with `content` at the end of the raw disk at `path`, which is longer than its table says: as whoever installs a machine
/// adds one.
///
/// # Errors
/// When the disk has no GPT, no room in it, or cannot be written.
pub fn append(path: &Path, label: &str, content: &[u8]) -> Result<()> {
    const ALIGN: u64 = 1 << 20;
    // "Linux filesystem data", 0FC63DAF-8483-4772-8E79-3D69D8477DE4, as it lies on a disk.
    const KIND: u128 = 0xe47d_47d8_693d_798e_4772_8483_0fc6_3daf;
    let disk =
        File::options().read(true).write(true).open(path).with_context(|| format!("opening {}", path.display()))?;
    let length = disk.metadata().context("looking at the disk")?.len();
    let offset = (length - 2 * ALIGN - content.len() as u64) / ALIGN * ALIGN;
    disk.write_all_at(content, offset).context("writing the partition")?;

    let mut header = [0; 92];
    disk.read_exact_at(&mut header, SECTOR).context("reading the GPT")?;
    let table = Table::parse(&header)?;
    let mut entries = vec![0; table.entry_bytes * table.entries as usize];
    disk.read_exact_at(&mut entries, table.offset).context("reading the GPT's entries")?;
    let entry = entries.chunks_mut(table.entry_bytes).find(|entry| entry[..16].iter().all(|&byte| byte == 0));
    let entry = entry.context("there is no room in the GPT")?;
    entry[..16].copy_from_slice(&KIND.to_le_bytes());
    entry[16..32].copy_from_slice(&(u128::from(offset) << 64 | 0xba11_a570).to_le_bytes());
    let last = (offset + content.len() as u64).div_ceil(SECTOR) - 1;
    entry[32..40].copy_from_slice(&(offset / SECTOR).to_le_bytes());
    entry[40..48].copy_from_slice(&last.to_le_bytes());
    for (pair, unit) in entry[56..128].chunks_mut(2).zip(label.encode_utf16()) {
        pair.copy_from_slice(&unit.to_le_bytes());
    }
    disk.write_all_at(&entries, table.offset).context("writing the GPT's entries")?;

    // The last sector that partitions may have, then the checksums of the entries and of the header itself.
    header[48..56].copy_from_slice(&(length / SECTOR - 34).to_le_bytes());
    header[88..92].copy_from_slice(&checksum(&entries).to_le_bytes());
    header[16..20].fill(0);
    let sum = checksum(&header);
    header[16..20].copy_from_slice(&sum.to_le_bytes());
    disk.write_all_at(&header, SECTOR).context("writing the GPT")
}

/// CRC-32 as GPT has it.
fn checksum(bytes: &[u8]) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(bytes);
    sum.sum()
}

struct Table {
    offset: u64,
    entries: u32,
    entry_bytes: usize,
}

impl Table {
    fn parse(header: &[u8; 92]) -> Result<Self> {
        if &header[..8] != b"EFI PART" {
            bail!("it has none");
        }
        let (entries, entry_bytes) = (u32_at(header, 80), u32_at(header, 84));
        if entries > ENTRIES_MAX || !(128..=4096).contains(&entry_bytes) {
            bail!("it has {entries} entries of {entry_bytes} bytes");
        }
        Ok(Self { offset: u64_at(header, 72) * SECTOR, entries, entry_bytes: entry_bytes as usize })
    }
}

fn partition(entry: &[u8], number: u32) -> Option<Partition> {
    let unused = entry[..16].iter().all(|&byte| byte == 0);
    let (first, last) = (u64_at(entry, 32), u64_at(entry, 40));
    let units =
        entry[56..128].chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).take_while(|&unit| unit != 0);
    let label = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    let length = (last + 1).checked_sub(first)? * SECTOR;
    let id = entry[16..32].try_into().ok()?;
    (!unused).then_some(Partition { number, label, id, offset: first * SECTOR, length })
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |sum, &byte| sum << 8 | u32::from(byte))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with one partition, `label`, in the second slot.
    fn disk(label: &str) -> tempfile::NamedTempFile {
        let mut bytes = vec![0; 512 * 40];
        bytes[512..520].copy_from_slice(b"EFI PART");
        bytes[512 + 72] = 2;
        bytes[512 + 80] = 4;
        bytes[512 + 84] = 128;
        let entry = 1024 + 128;
        bytes[entry] = 0xc1;
        bytes[entry + 32] = 34;
        bytes[entry + 40] = 37;
        for (at, unit) in label.encode_utf16().enumerate() {
            bytes[entry + 56 + 2 * at..][..2].copy_from_slice(&unit.to_le_bytes());
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, bytes).unwrap();
        file
    }

    #[test]
    fn partitions_are_found_by_label() {
        let file = disk("ballast-root");
        let want =
            Partition { number: 2, label: "ballast-root".into(), id: [0; 16], offset: 34 * 512, length: 4 * 512 };
        assert_eq!(find(file.path(), "ballast-root").unwrap(), want);
        let error = find(file.path(), "other").unwrap_err().to_string();
        assert!(error.contains("no partition other, only ballast-root"), "{error}");
    }

    #[test]
    fn a_partition_is_added_at_the_end() {
        let file = disk("ballast-root");
        file.as_file().set_len(8 << 20).unwrap();
        append(file.path(), "config-2", &[7; 1000]).unwrap();
        let found = find(file.path(), "config-2").unwrap();
        assert_ne!(found.id, [0; 16]);
        assert_eq!((found.number, found.offset, found.length), (1, 5 << 20, 1024));
        let bytes = std::fs::read(file.path()).unwrap();
        assert_eq!((&bytes[5 << 20..][..1000], checksum(b"123456789")), (&[7; 1000][..], 0xcbf4_3926));
        assert!(find(file.path(), "ballast-root").is_ok());
    }

    #[test]
    fn what_is_no_partition_table_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, vec![0; 4096]).unwrap();
        assert!(format!("{:#}", read(file.path()).unwrap_err()).ends_with("it has none"));
    }
}
