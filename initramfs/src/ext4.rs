//! What the superblock of an ext4 file system says of its health (kernel: Documentation/filesystems/ext4/super.rst). Pure but for `load`.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};

/// What a file system needs before it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing: it was unmounted properly.
    Clean,
    /// Its journal has to be replayed, or files that were deleted while open have to be released.
    Unclean,
    /// The kernel found damage in it, and noted so.
    Damaged,
    /// There is no superblock.
    Unknown,
}

/// Reads the superblock on `device`.
///
/// # Errors
/// If it cannot be read.
pub fn load(device: &Path) -> Result<State> {
    let mut superblock = [0; 1024];
    let read = File::open(device).and_then(|file| file.read_exact_at(&mut superblock, 1024));
    read.with_context(|| format!("reading the superblock on {}", device.display()))?;
    Ok(parse(&superblock))
}

/// What `superblock` says.
pub fn parse(superblock: &[u8; 1024]) -> State {
    const MAGIC: u32 = 0xef53;
    const VALID: u32 = 1;
    const ERRORS: u32 = 2;
    const INCOMPAT_RECOVER: u32 = 4;
    const RO_COMPAT_ORPHANS: u32 = 0x1_0000;
    let u16_at = |at: usize| u32::from(superblock[at]) | u32::from(superblock[at + 1]) << 8;
    let u32_at = |at: usize| u16_at(at) | u16_at(at + 2) << 16;
    let state = u16_at(0x3a);
    if u16_at(0x38) != MAGIC {
        State::Unknown
    } else if state & ERRORS != 0 || state & VALID == 0 {
        State::Damaged
    } else if u32_at(0x60) & INCOMPAT_RECOVER != 0 || u32_at(0x64) & RO_COMPAT_ORPHANS != 0 || u32_at(0xe8) != 0 {
        State::Unclean
    } else {
        State::Clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
