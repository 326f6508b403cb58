//! The fs-verity digest of a content, as the kernel would measure it. (kernel: Documentation/filesystems/fsverity.rst)

use sha2::{Digest, Sha256};

const BLOCK_BYTES: usize = 4096;
const HASH_BYTES: usize = 32;
const DESCRIPTOR_BYTES: usize = 256;

/// The digest: SHA-256, blocks of 4096 bytes, no salt.
pub(super) fn digest(content: &[u8]) -> [u8; HASH_BYTES] {
    let mut level = hashes(content);
    // Each level hashes the blocks of the one below, until one hash is left. Of nothing, the root is zeros.
    while level.len() > HASH_BYTES {
        level = hashes(&level);
    }
    let mut descriptor = [0; DESCRIPTOR_BYTES];
    // Version 1, SHA-256 (1), blocks of 2^12 bytes, no salt; then the size and the root.
    descriptor[..3].copy_from_slice(&[1, 1, 12]);
    descriptor[8..16].copy_from_slice(&(content.len() as u64).to_le_bytes());
    descriptor[16..16 + level.len()].copy_from_slice(&level);
    Sha256::digest(descriptor).into()
}

fn hashes(content: &[u8]) -> Vec<u8> {
    let mut all = Vec::with_capacity(content.len().div_ceil(BLOCK_BYTES) * HASH_BYTES);
    let mut last = [0; BLOCK_BYTES];
    for chunk in content.chunks(BLOCK_BYTES) {
        if chunk.len() == BLOCK_BYTES {
            all.extend_from_slice(&Sha256::digest(chunk));
        } else {
            last[..chunk.len()].copy_from_slice(chunk);
            all.extend_from_slice(&Sha256::digest(last));
        }
    }
    all
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
            assert_eq!(hex::encode(digest(&vec![b'a'; size])), expected, "{size}");
        }
    }
}
