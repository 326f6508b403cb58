//! fs-verity of the store's files: the kernel holds each read of a file to its digest, and tells the digest at once.

use std::{
    fs::File,
    io::{ErrorKind, Read},
    path::Path,
};

use anyhow::{Context, Result};
use ballast_fsverity as verity;
use sha2::{Digest as _, Sha256};

use crate::failure::{Failure, Kind};

/// What the kernel hashes at a time, and how long a hash is.
const BLOCK_BYTES: usize = 4096;
const HASH_BYTES: usize = 32;

/// The descriptor that is hashed at last: struct fsverity_descriptor (Documentation/filesystems/fsverity.rst).
const DESCRIPTOR_BYTES: usize = 256;

/// Switches fs-verity on for the file at `path`, on the disk, and sees to it that its digest is `expected`.
///
/// # Errors
/// If the file system cannot (VAR of an image that is older than artifacts), or the file is another.
pub fn seal(path: &Path, expected: &str) -> Result<()> {
    let doing = || format!("sealing {}", path.display());
    let file = File::open(path).with_context(doing)?;
    file.sync_all().with_context(doing)?;
    enable(&file).and_then(|()| hold(&file, expected)).with_context(doing)
}

fn enable(file: &File) -> Result<()> {
    match verity::enable(file) {
        Ok(_) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOTTY) => {
            let why = "the file system of /var has no fs-verity: it was made by a release before artifacts; switch it on from another \
                       system (tune2fs -O verity on the unmounted VAR), or install the node anew";
            Err(Failure::new(Kind::Failed, why).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Opens the file at `path`, which has to be what `expected` says: the descriptor that comes back is the file that was measured, whatever
/// happens to the path.
///
/// # Errors
/// [`Kind::Damaged`] if it is another file, one that is not sealed, or none.
pub fn open(path: &Path, expected: &str) -> Result<File> {
    let doing = || format!("measuring {}", path.display());
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Failure::new(Kind::Damaged, "it is not there")).with_context(doing);
        }
        opened => opened.with_context(doing)?,
    };
    hold(&file, expected).with_context(doing)?;
    Ok(file)
}

fn hold(file: &File, expected: &str) -> Result<()> {
    let why = match verity::measure(file)? {
        Some(digest) if digest.to_string() == expected => return Ok(()),
        Some(digest) => format!("its fs-verity digest is {digest}, and the signed manifest says {expected}"),
        None => format!("it is not sealed by fs-verity, and the signed manifest says {expected}"),
    };
    Err(Failure::new(Kind::Damaged, why).into())
}

/// The digest that the kernel would measure of `content`, and its size: for who packs an artifact.
///
/// # Errors
/// If it cannot be read.
pub fn digest(mut content: impl Read) -> Result<(String, u64)> {
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
    Ok((hex::encode(Sha256::digest(descriptor)), size))
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
            (4097, "18b155c0b6e054f3f7d22488ed15340e74dc161ce2d123e13eb685c3ce565f70"),
            (600_000, "1dbcfd45ca6c4a34e3bdd875ae84c6624a0cbe31327e0d5ddb6e08b89a9140ab"),
        ];
        for (size, expected) in table {
            assert_eq!(digest(&vec![b'a'; size][..]).unwrap(), (expected.to_owned(), size as u64));
        }
    }

    #[test]
    fn what_is_not_sealed_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kubelet");
        let error = open(&path, "ab").unwrap_err();
        assert_eq!(crate::failure::kind(&error), Kind::Damaged);
        std::fs::write(&path, "a").unwrap();
        let error = open(&path, "ab").unwrap_err();
        assert!(format!("{error:#}").contains("it is not sealed"), "{error:#}");
    }
}
