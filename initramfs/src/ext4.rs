//! What the superblock of an ext4 file system says of its health, and the mending of one that a power cut tore (kernel:
//! Documentation/filesystems/ext4/super.rst).

use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};

const BYTES: usize = 1024;
/// Where it lies, and where a copy of it lies in the block with which the second group begins.
const PLACE: u64 = 1024;
const CHECKSUM: Range<usize> = 0x3fc..0x400;
/// What never changes on a file system that is in use: where its parts lie and how large they are, its revision, compatible features, UUID,
/// journal, the seeds of hashes and checksums.
const FIXED: [Range<usize>; 11] = [
    0x14..0x1c,
    0x20..0x24,
    0x28..0x2c,
    0x4c..0x50,
    0x54..0x5a,
    0x5c..0x60,
    0x68..0x78,
    0xe0..0xe4,
    0xec..0xfd,
    0xfe..0x100,
    0x270..0x274,
];
/// Features that come and go as it is used: RECOVER of the incompatible ones, ORPHAN_PRESENT of those for reading alone.
const PASSING: [(usize, u32); 2] = [(0x60, 4), (0x64, 0x1_0000)];

/// What a file system needs before it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing: it was unmounted properly.
    Clean,
    /// Its journal has to be replayed, or files that were deleted while open have to be released.
    Unclean,
    /// The kernel found damage in it, and noted so.
    Damaged,
    /// Its superblock's checksum is wrong: the kernel would not mount it.
    Torn,
    /// There is no superblock.
    Unknown,
}

/// Reads the superblock on `device`.
///
/// # Errors
/// If it cannot be read.
pub fn load(device: &Path) -> Result<State> {
    let doing = || format!("reading the superblock on {}", device.display());
    let file = File::open(device).with_context(doing)?;
    Ok(parse(&read(&file, PLACE).with_context(doing)?))
}

/// Makes the superblock on `device` whole, if a power cut tore it: drives with sectors of 512 bytes write one half without the other. What
/// differs then is the checksum, which is in the second half, as all that changes is in the first. Returns whether there was something to do.
///
/// # Errors
/// If it cannot be read or written, or is not only torn: the copy of it is of another file system.
pub fn mend(device: &Path) -> Result<bool> {
    let doing = || format!("mending the superblock on {}", device.display());
    let file = OpenOptions::new().read(true).write(true).open(device).with_context(doing)?;
    let mut superblock = read(&file, PLACE).with_context(doing)?;
    if parse(&superblock) != State::Torn {
        return Ok(false);
    }
    let block_bytes = 1024_u64 << u32_at(&superblock, 0x18).min(6);
    // The groups begin behind what is before the first block of data.
    let second_group = (u64::from(u32_at(&superblock, 0x14)) + u64::from(u32_at(&superblock, 0x20))) * block_bytes;
    let copy = read(&file, second_group).with_context(doing)?;
    let has_its_features =
        |(at, passing): (usize, u32)| u32_at(&superblock, at) | passing == u32_at(&copy, at) | passing;
    let is_same = FIXED.iter().all(|field| superblock[field.clone()] == copy[field.clone()])
        && PASSING.into_iter().all(has_its_features);
    ensure!(is_same && !matches!(parse(&copy), State::Torn | State::Unknown), "{}: it is damaged", doing());
    let checksum = checksum(&superblock);
    superblock[CHECKSUM].copy_from_slice(&checksum.to_le_bytes());
    file.write_all_at(&superblock, PLACE).and_then(|()| file.sync_all()).with_context(doing)?;
    Ok(true)
}

fn read(file: &File, place: u64) -> std::io::Result<[u8; BYTES]> {
    let mut superblock = [0; BYTES];
    file.read_exact_at(&mut superblock, place).map(|()| superblock)
}

/// What `superblock` says.
pub fn parse(superblock: &[u8; 1024]) -> State {
    const MAGIC: u32 = 0xef53;
    const VALID: u32 = 1;
    const ERRORS: u32 = 2;
    const INCOMPAT_RECOVER: u32 = 4;
    const RO_COMPAT_CHECKSUMS: u32 = 0x400;
    const RO_COMPAT_ORPHANS: u32 = 0x1_0000;
    let u16_at = |at: usize| u32::from(superblock[at]) | u32::from(superblock[at + 1]) << 8;
    let u32_at = |at: usize| u32_at(superblock, at);
    let state = u16_at(0x3a);
    if u16_at(0x38) != MAGIC {
        State::Unknown
    } else if u32_at(0x64) & RO_COMPAT_CHECKSUMS != 0 && u32_at(CHECKSUM.start) != checksum(superblock) {
        State::Torn
    } else if state & ERRORS != 0 || state & VALID == 0 {
        State::Damaged
    } else if u32_at(0x60) & INCOMPAT_RECOVER != 0 || u32_at(0x64) & RO_COMPAT_ORPHANS != 0 || u32_at(0xe8) != 0 {
        State::Unclean
    } else {
        State::Clean
    }
}

/// CRC-32C of all that is before it, from all ones and not inverted (kernel: fs/ext4/super.c, `ext4_superblock_csum`).
fn checksum(superblock: &[u8; BYTES]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    superblock[..CHECKSUM.start].iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| sum >> 1 ^ if sum & 1 == 1 { POLYNOMIAL } else { 0 })
    })
}

fn u32_at(bytes: &[u8; BYTES], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that goes with its name.
    struct Place(std::path::PathBuf);

    impl Place {
        fn write(&self, bytes: &[u8], at: u64) {
            OpenOptions::new().write(true).open(&self.0).unwrap().write_all_at(bytes, at).unwrap();
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            std::fs::remove_file(&self.0).unwrap();
        }
    }

    /// A file system of two groups of eight blocks of 1024 bytes, with checksums; its superblock, and the copy of it.
    fn system(name: &str) -> (Place, [u8; BYTES]) {
        let mut superblock = [0; BYTES];
        superblock[0x38..0x3b].copy_from_slice(&[0x53, 0xef, 1]);
        superblock[0x20] = 8;
        superblock[0x65] = 4;
        superblock[0x68..0x78].fill(7);
        let sum = checksum(&superblock);
        superblock[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
        let place = Place(std::env::temp_dir().join(format!("ballast-initramfs-ext4-{name}-{}", std::process::id())));
        std::fs::write(&place.0, [0; 16 * 1024]).unwrap();
        for at in [PLACE, 8 * 1024] {
            place.write(&superblock, at);
        }
        (place, superblock)
    }

    #[test]
    fn a_torn_superblock_gets_its_checksum() {
        let (place, superblock) = system("torn");
        assert_eq!(load(&place.0).unwrap(), State::Clean);
        assert!(!mend(&place.0).unwrap());
        // The first half of a newer one: the journal is open.
        place.write(&[4], PLACE + 0x60);
        assert_eq!(load(&place.0).unwrap(), State::Torn);
        assert!(mend(&place.0).unwrap());
        assert_eq!(load(&place.0).unwrap(), State::Unclean);
        let mended = read(&File::open(&place.0).unwrap(), PLACE).unwrap();
        assert_eq!((mended[0x60], &mended[..0x60]), (4, &superblock[..0x60]));
    }

    #[test]
    fn what_is_more_than_torn_is_left_alone() {
        for (at, byte) in [(PLACE + 0x70, 9), (8 * 1024 + 0x70, 9), (8 * 1024 + 0x38, 0)] {
            let (place, _) = system("damaged");
            place.write(&[4], PLACE + 0x60);
            place.write(&[byte], at);
            let before = std::fs::read(&place.0).unwrap();
            assert!(format!("{:#}", mend(&place.0).unwrap_err()).contains("it is damaged"), "{at}");
            assert_eq!(std::fs::read(&place.0).unwrap(), before);
        }
    }

    #[test]
    fn the_superblock_reports_the_state() {
        let superblock = |patches: &[(usize, u8)]| {
            let mut bytes = [0; 1024];
            bytes[0x38..0x3b].copy_from_slice(&[0x53, 0xef, 1]);
            patches.iter().for_each(|(at, byte)| bytes[*at] = *byte);
            parse(&bytes)
        };
        assert_eq!(superblock(&[]), State::Clean);
        assert_eq!(superblock(&[(0x60, 0xc6)]), State::Unclean, "the journal is open");
        assert_eq!(superblock(&[(0x66, 1)]), State::Unclean, "orphans in the orphan file");
        assert_eq!(superblock(&[(0xe8, 12)]), State::Unclean, "orphans in the list");
        assert_eq!(superblock(&[(0x3a, 3)]), State::Damaged);
        assert_eq!(superblock(&[(0x3a, 0)]), State::Damaged);
        assert_eq!(superblock(&[(0x38, 0)]), State::Unknown);
        assert_eq!(parse(&[0; 1024]), State::Unknown);
        // With checksums, and none there.
        assert_eq!(superblock(&[(0x65, 4)]), State::Torn);
    }
}
