//! Digests of content: the only kind that registries use, sha256, and the check that runs along with a stream.

pub(crate) use ballast_types::Sha256Digest as Digest;
use ring::digest::{Context, SHA256};

/// The digest of `bytes`.
pub(crate) fn of(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(bytes);
    hasher.finish()
}

/// The digest of a stream, piece by piece.
pub(crate) struct Hasher(Context);

impl Hasher {
    pub(crate) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Digest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.finish().as_ref());
        Digest::from_bytes(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_has_the_digest_of_its_pieces() {
        let nothing = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(of(b"").as_str(), nothing);
        let mut hasher = Hasher::new();
        [&b"a"[..], b"bc"].iter().for_each(|piece| hasher.update(piece));
        assert_eq!(hasher.finish(), of(b"abc"));
    }
}
