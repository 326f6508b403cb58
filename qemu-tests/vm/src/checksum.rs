//! Checksums as people and manifests write them.

use sha2::{Digest, Sha256};

/// The SHA-256 of `content`, in 64 hexadecimal digits.
pub(crate) fn sha256(content: impl AsRef<[u8]>) -> String {
    hex::encode(Sha256::digest(content))
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_is_that_of_fips_180() {
        // The standard's own example.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(super::sha256("abc"), expected);
    }
}
