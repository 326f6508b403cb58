//! fs-verity of objects and composefs images: /init has overlayfs refuse what is without it.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use anyhow::{Context, Result};
use ballast_fsverity as verity;
use sha2::{Digest as _, Sha256};

/// What the kernel hashes at a time.
const BLOCK_BYTES: usize = 4096;
const HASH_BYTES: usize = 32;

/// The descriptor that is hashed at last: struct fsverity_descriptor (Documentation/filesystems/fsverity.rst).
const DESCRIPTOR_BYTES: usize = 256;

/// Switches fs-verity on for a file that lacks it. False if the file system cannot: on build hosts, where `seal` does it.
pub(crate) fn ensure(path: &Path) -> Result<bool> {
    let doing = || format!("switching fs-verity on for {}", path.display());
    let file = File::open(path).with_context(doing)?;
    if verity::measure(&file).with_context(doing)?.is_some() {
        return Ok(true);
    }
    match verity::enable(&file) {
        Ok(_) => Ok(true),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOTTY) => Ok(false),
        Err(error) => Err(error).with_context(doing),
    }
}

/// Whether the kernel holds the file to a digest.
pub(crate) fn is_on(path: &Path) -> Result<bool> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    Ok(verity::measure(&file)?.is_some())
}

/// The digest of a file: the kernel's if it keeps one, else as the kernel would make it.
pub(crate) fn digest(path: &Path) -> Result<String> {
    let doing = || format!("measuring {}", path.display());
    let mut file = File::open(path).with_context(doing)?;
    if let Some(digest) = verity::measure(&file).with_context(doing)? {
        return Ok(digest.to_string());
    }
    file.seek(SeekFrom::Start(0)).with_context(doing)?;
    compute(file).with_context(doing)
}

fn compute(mut content: impl Read) -> Result<String> {
    let mut size = 0_u64;
    let mut hashes = Vec::new();
    let mut block = [0; BLOCK_BYTES];
    loop {
        let bytes = fill(&mut content, &mut block)?;
        if bytes == 0 {
            break;
        }
        size += bytes as u64;
        block[bytes..].fill(0);
        hashes.extend_from_slice(&Sha256::digest(block));
    }
    // Each level hashes the blocks of the one below, until one hash is left. Of nothing, the root is zeros.
    while hashes.len() > HASH_BYTES {
        let mut above = Vec::new();
        for chunk in hashes.chunks(BLOCK_BYTES) {
            let mut block = [0; BLOCK_BYTES];
            block[..chunk.len()].copy_from_slice(chunk);
            above.extend_from_slice(&Sha256::digest(block));
        }
        hashes = above;
    }
    let mut descriptor = [0; DESCRIPTOR_BYTES];
    // Version 1, SHA-256 (1), blocks of 2^12 bytes, no salt; then the size and the root.
    descriptor[..3].copy_from_slice(&[1, 1, 12]);
    descriptor[8..16].copy_from_slice(&size.to_le_bytes());
    descriptor[16..16 + hashes.len()].copy_from_slice(&hashes);
    Ok(hex::encode(Sha256::digest(descriptor)))
}

/// As much as there is, up to a whole block.
fn fill(content: &mut impl Read, block: &mut [u8]) -> std::io::Result<usize> {
    let mut at = 0;
    while at < block.len() {
        match content.read(&mut block[at..])? {
            0 => break,
            bytes => at += bytes,
        }
    }
    Ok(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_fsverity_utils_count() {
        // `fsverity digest --compact` of files with so many times the letter a.
        let table = [
            (0, "3d248ca542a24fc62d1c43b916eae5016878e2533c88238480b26128a1f1af95"),
            (1, "bce75948b9e7510293f8f2720412af9697c1479281323f3f220623fb8e94b557"),
            (4096, "a2a808ddaced77f0b6b3068f47b14b5a1fb3fc43674993ab11b8e7e6f2d089e2"),
            (4097, "18b155c0b6e054f3f7d22488ed15340e74dc161ce2d123e13eb685c3ce565f70"),
            (600_000, "1dbcfd45ca6c4a34e3bdd875ae84c6624a0cbe31327e0d5ddb6e08b89a9140ab"),
        ];
        for (size, expected) in table {
            assert_eq!(compute(&vec![b'a'; size][..]).unwrap(), expected, "{size}");
        }
    }
}
