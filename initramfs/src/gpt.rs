//! GUID partition tables: only which partition is of which type, since sysfs does not tell.
//!
//! See UEFI 2.10, chapter 5.3. The kernel has checked the table's checksums before it showed the partitions.

use anyhow::{Result, anyhow, bail};

/// Root partition of an x86-64 machine (Discoverable Partitions Specification):
/// 4f68bce3-e8cd-4db1-96e7-fbcaf984b709, as the table holds it.
pub const ROOT_X86_64: [u8; 16] =
    [0xe3, 0xbc, 0x68, 0x4f, 0xcd, 0xe8, 0xb1, 0x4d, 0x96, 0xe7, 0xfb, 0xca, 0xf9, 0x84, 0xb7, 0x09];

/// Bytes from the start of a disk that hold any usual table: two blocks of at most 4 KiB, then 128 entries of 128 bytes.
pub const TABLE_BYTES: usize = 2 * 4096 + 128 * 128;
/// Blocks are of one of these sizes; the header is in the second one.
const BLOCK_SIZES: [usize; 2] = [512, 4096];

/// The numbers of the partitions of the given type.
///
/// # Errors
/// If what is there is no table, or one of an unusual form.
pub fn partitions_of_type(disk: &[u8], kind: &[u8; 16]) -> Result<Vec<u32>> {
    let (block_size, header) = BLOCK_SIZES
        .into_iter()
        .find_map(|size| Some((size, disk.get(size..size + 92)?)).filter(|(_, header)| header.starts_with(b"EFI PART")))
        .ok_or_else(|| anyhow!("there is no GUID partition table"))?;
    let (start, count, size) = (u64_at(header, 72), u32_at(header, 80), u32_at(header, 84));
    if start != 2 || size != 128 || count > 128 {
        bail!("unusual partition table: {count} entries of {size} bytes at block {start}");
    }
    let entries = disk.get(2 * block_size..).unwrap_or_default().chunks_exact(128);
    Ok((1..=count).zip(entries).filter(|(_, entry)| entry.starts_with(kind)).map(|(number, _)| number).collect())
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

    fn disk(block_size: usize, start: u64, count: u32, size: u32, types: &[[u8; 16]]) -> Vec<u8> {
        let mut disk = vec![0; TABLE_BYTES];
        let header = &mut disk[block_size..];
        header[..8].copy_from_slice(b"EFI PART");
        header[72..80].copy_from_slice(&start.to_le_bytes());
        header[80..84].copy_from_slice(&count.to_le_bytes());
        header[84..88].copy_from_slice(&size.to_le_bytes());
        for (i, kind) in types.iter().enumerate() {
            disk[2 * block_size + 128 * i..][..16].copy_from_slice(kind);
        }
        disk
    }

    #[test]
    fn finds_the_type() {
        let esp = *b"\x28\x73\x2a\xc1\x1f\xf8\xd2\x11\xba\x4b\x00\xa0\xc9\x3e\xc9\x3b";
        for block_size in BLOCK_SIZES {
            let table = disk(block_size, 2, 128, 128, &[esp, ROOT_X86_64, [0; 16], ROOT_X86_64]);
            assert_eq!(partitions_of_type(&table, &ROOT_X86_64).unwrap(), [2, 4]);
            assert_eq!(partitions_of_type(&table, &esp).unwrap(), [1]);
        }
        let beyond = disk(512, 2, 1, 128, &[esp, ROOT_X86_64]);
        assert_eq!(partitions_of_type(&beyond, &ROOT_X86_64).unwrap(), [0; 0]);
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        let short = &disk(512, 2, 128, 128, &[ROOT_X86_64])[..600];
        for bad in [&[][..], &[0; 512], &[0; TABLE_BYTES], short] {
            assert!(partitions_of_type(bad, &ROOT_X86_64).is_err());
        }
        for (start, count, size) in [(3, 128, 128), (2, 129, 128), (2, 128, 256)] {
            assert!(partitions_of_type(&disk(512, start, count, size, &[]), &ROOT_X86_64).is_err());
        }
    }
}
