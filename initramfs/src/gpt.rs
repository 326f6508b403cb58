//! GUID partition tables: what sysfs does not say of a partition: its type and (before Linux 6.13) its identity.
//!
//! See UEFI 2.10, chapter 5.3. The kernel has checked the table's checksums before it showed the partitions.

use std::fmt;

use anyhow::{Result, anyhow, bail};

/// A GUID as the table holds it: the first three of its five groups are little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guid([u8; 16]);

/// Root partition of an x86-64 machine (Discoverable Partitions Specification): 4f68bce3-e8cd-4db1-96e7-fbcaf984b709.
pub const ROOT_X86_64: Guid =
    Guid([0xe3, 0xbc, 0x68, 0x4f, 0xcd, 0xe8, 0xb1, 0x4d, 0x96, 0xe7, 0xfb, 0xca, 0xf9, 0x84, 0xb7, 0x09]);

impl Guid {
    /// From the bytes in a table.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
        for (i, at) in ORDER.into_iter().enumerate() {
            let dash = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
            write!(f, "{dash}{:02x}", self.0[at])?;
        }
        Ok(())
    }
}

/// One partition of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number, from 1.
    pub number: u32,
    /// What it is for.
    pub kind: Guid,
    /// Which it is: the PARTUUID.
    pub id: Guid,
}

/// Bytes from the start of a disk that hold any usual table: two blocks of at most 4 KiB, then 128 entries of 128 bytes.
pub const TABLE_BYTES: usize = 2 * 4096 + 128 * 128;
/// The partitions in a table, given the first `TABLE_BYTES` of its disk, which has blocks of `block_bytes`: the header is in the second
/// one. A disk may carry a table for blocks of another size, which is not its own.
///
/// # Errors
/// If what is there is no table, or one of an unusual form.
pub fn parse_table(disk: &[u8], block_bytes: usize) -> Result<Vec<Entry>> {
    let header = disk
        .get(block_bytes..block_bytes.saturating_add(92))
        .filter(|header| header.starts_with(b"EFI PART"))
        .ok_or_else(|| anyhow!("there is no GUID partition table"))?;
    let (start, count, size) = (u64_at(header, 72), u32_at(header, 80), u32_at(header, 84));
    if start != 2 || size != 128 || count > 128 {
        bail!("unusual partition table: {count} entries of {size} bytes at block {start}");
    }
    let entries = disk.get(2 * block_bytes..).unwrap_or_default().chunks_exact(128);
    let entries = (1..=count).zip(entries).map(|(number, entry)| Entry {
        number,
        kind: guid_at(entry, 0),
        id: guid_at(entry, 16),
    });
    Ok(entries.filter(|entry| entry.kind != Guid([0; 16])).collect())
}

fn guid_at(bytes: &[u8], at: usize) -> Guid {
    let mut guid = [0; 16];
    guid.copy_from_slice(&bytes[at..at + 16]);
    Guid(guid)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at + 4)) << 32 | u64::from(u32_at(bytes, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ESP: Guid = Guid(*b"\x28\x73\x2a\xc1\x1f\xf8\xd2\x11\xba\x4b\x00\xa0\xc9\x3e\xc9\x3b");
    const NONE: Guid = Guid([0; 16]);

    fn disk(block_size: usize, start: u64, count: u32, size: u32, types: &[Guid]) -> Vec<u8> {
        let mut disk = vec![0; TABLE_BYTES];
        let header = &mut disk[block_size..];
        header[..8].copy_from_slice(b"EFI PART");
        header[72..80].copy_from_slice(&start.to_le_bytes());
        header[80..84].copy_from_slice(&count.to_le_bytes());
        header[84..88].copy_from_slice(&size.to_le_bytes());
        for (i, Guid(kind)) in types.iter().enumerate() {
            let entry = &mut disk[2 * block_size + 128 * i..][..32];
            entry[..16].copy_from_slice(kind);
            entry[16..].fill(u8::try_from(i).unwrap());
        }
        disk
    }

    #[test]
    fn reads_the_table() {
        let entry = |number: u32, kind| Entry { number, kind, id: Guid([u8::try_from(number - 1).unwrap(); 16]) };
        for (block_size, other) in [(512, 4096), (4096, 512)] {
            let table = disk(block_size, 2, 128, 128, &[ESP, ROOT_X86_64, NONE, ROOT_X86_64]);
            let expected = [entry(1, ESP), entry(2, ROOT_X86_64), entry(4, ROOT_X86_64)];
            assert_eq!(parse_table(&table, block_size).unwrap(), expected);
            assert!(parse_table(&table, other).is_err());
        }
        let beyond = disk(512, 2, 1, 128, &[ESP, ROOT_X86_64]);
        assert_eq!(parse_table(&beyond, 512).unwrap(), [entry(1, ESP)]);
    }

    #[test]
    fn guids_show_as_people_write_them() {
        assert_eq!(ROOT_X86_64.to_string(), "4f68bce3-e8cd-4db1-96e7-fbcaf984b709");
        assert_eq!(ESP.to_string(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let short = &disk(512, 2, 128, 128, &[ROOT_X86_64])[..600];
        for bad in [&[][..], &[0; 512], &[0; TABLE_BYTES], short] {
            assert!(parse_table(bad, 512).is_err());
        }
        for (start, count, size) in [(3, 128, 128), (2, 129, 128), (2, 128, 256)] {
            assert!(parse_table(&disk(512, start, count, size, &[]), 512).is_err());
        }
    }
}
