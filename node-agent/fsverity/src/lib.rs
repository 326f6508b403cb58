//! fs-verity: the digest of a file as the kernel measures it, and switching it on.
//!
//! See Documentation/filesystems/fsverity.rst in the kernel's tree.

use std::fmt;
use std::os::fd::AsFd;
use std::str::FromStr;

use anyhow::{Result, bail};
use rustix::io::Errno;
use rustix::ioctl;

/// FS_VERITY_HASH_ALG_SHA256: the one that composefs uses.
const SHA256: u16 = 1;
/// The block size that composefs digests are made with.
const BLOCK_SIZE: u32 = 4096;

/// A SHA-256 fs-verity digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl FromStr for Digest {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            bail!("a digest is 64 hexadecimal digits");
        }
        let mut digest = [0; 32];
        for (i, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16)?;
        }
        Ok(Self(digest))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// `struct fsverity_digest` with room for a SHA-256.
#[repr(C)]
struct MeasureArg {
    algorithm: u16,
    size: u16,
    digest: [u8; 32],
}

/// `struct fsverity_enable_arg`.
#[repr(C)]
struct EnableArg {
    version: u32,
    hash_algorithm: u32,
    block_size: u32,
    salt_size: u32,
    salt_ptr: u64,
    sig_size: u32,
    reserved1: u32,
    sig_ptr: u64,
    reserved2: [u64; 11],
}

/// FS_IOC_ENABLE_VERITY.
const ENABLE: ioctl::Opcode = ioctl::opcode::write::<EnableArg>(b'f', 133);
/// FS_IOC_MEASURE_VERITY: its number counts the fixed head of the struct only.
const MEASURE: ioctl::Opcode = ioctl::opcode::read_write::<[u16; 2]>(b'f', 134);

/// The digest that the kernel holds the file to; `None` if fs-verity is not on for it, or the file system has none.
///
/// # Errors
/// If the kernel refuses for another reason, or the digest is no SHA-256.
pub fn measure(file: impl AsFd) -> Result<Option<Digest>> {
    let mut arg = MeasureArg { algorithm: 0, size: 32, digest: [0; 32] };
    #[expect(unsafe_code, reason = "rustix has no wrapper for this ioctl")]
    // SAFETY: MEASURE takes a struct fsverity_digest with as many bytes behind it as its size says: 32.
    let result = unsafe { ioctl::ioctl(file, ioctl::Updater::<MEASURE, MeasureArg>::new(&mut arg)) };
    match result {
        Ok(()) if arg.algorithm == SHA256 && arg.size == 32 => Ok(Some(Digest(arg.digest))),
        Ok(()) => bail!("its fs-verity digest is no SHA-256 (algorithm {}, {} bytes)", arg.algorithm, arg.size),
        Err(Errno::NODATA | Errno::NOTTY | Errno::OPNOTSUPP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Switches fs-verity on for a file that is open for reading only and that nobody has open for writing. It is fine if
/// it was on already. Returns whether this call did it.
///
/// # Errors
/// What the kernel says: EOPNOTSUPP if the file system was made without the feature, ETXTBSY if someone writes to it.
pub fn enable(file: impl AsFd) -> rustix::io::Result<bool> {
    let arg = EnableArg {
        version: 1,
        hash_algorithm: u32::from(SHA256),
        block_size: BLOCK_SIZE,
        salt_size: 0,
        salt_ptr: 0,
        sig_size: 0,
        reserved1: 0,
        sig_ptr: 0,
        reserved2: [0; 11],
    };
    #[expect(unsafe_code, reason = "rustix has no wrapper for this ioctl")]
    // SAFETY: ENABLE reads a struct fsverity_enable_arg; the salt and the signature are absent, so no pointer is followed.
    let result = unsafe { ioctl::ioctl(file, ioctl::Setter::<ENABLE, EnableArg>::new(arg)) };
    match result {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The digest that the kernel would measure of `content`, and its size: for a file system that has no fs-verity, and for who packs files.
///
/// # Errors
/// If it cannot be read.
#[cfg(feature = "compute")]
pub fn compute(mut content: impl std::io::Read) -> std::io::Result<(Digest, u64)> {
    use sha2::{Digest as _, Sha256};

    const BLOCK_BYTES: usize = BLOCK_SIZE as usize;
    const HASH_BYTES: usize = 32;
    // struct fsverity_descriptor, which is hashed at last.
    const DESCRIPTOR_BYTES: usize = 256;
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
    Ok((Digest(Sha256::digest(descriptor).into()), size))
}

/// As much as there is, up to a whole block.
#[cfg(feature = "compute")]
fn fill(content: &mut impl std::io::Read, block: &mut [u8]) -> std::io::Result<usize> {
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
    fn digests_read_and_show_alike() {
        let text = "0123456789abcdef".repeat(4);
        assert_eq!(text.parse::<Digest>().unwrap().to_string(), text);
        assert_eq!(text.to_uppercase().parse::<Digest>().unwrap().to_string(), text);
        for bad in ["", "12", &text[1..], &"xy".repeat(32), &"é".repeat(32)] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }

    #[cfg(feature = "compute")]
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
            let (digest, counted) = compute(&vec![b'a'; size][..]).unwrap();
            assert_eq!((digest.to_string().as_str(), counted), (expected, size as u64), "{size}");
        }
    }

    #[test]
    fn structs_are_as_the_kernel_has_them() {
        assert_eq!(size_of::<EnableArg>(), 128);
        assert_eq!(size_of::<MeasureArg>(), 36);
        // From <linux/fsverity.h>: _IOW('f', 133, struct fsverity_enable_arg), _IOWR('f', 134, struct fsverity_digest).
        assert_eq!(ENABLE, 0x4080_6685);
        assert_eq!(MEASURE, 0xc004_6686);
    }

    #[test]
    fn a_file_without_verity_has_no_digest() {
        assert_eq!(measure(std::fs::File::open("/proc/self/status").unwrap()).unwrap(), None);
    }
}
