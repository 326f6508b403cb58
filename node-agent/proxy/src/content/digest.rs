//! Digests of content: the only kind that registries use, sha256, and the check that runs along with a stream.

use std::fmt;

use anyhow::{Result, bail};
use ring::digest::{Context, SHA256};
use serde::{Deserialize, Deserializer, de::Error};

const ALGORITHM: &str = "sha256:";
const HEX_LETTERS: usize = 64;

/// `sha256:` and 64 hexadecimal letters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Digest(String);

impl Digest {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let hex = text.strip_prefix(ALGORITHM).unwrap_or_default();
        if hex.len() != HEX_LETTERS || !hex.bytes().all(|letter| matches!(letter, b'0'..=b'9' | b'a'..=b'f')) {
            bail!("{text:?} is no digest, expected sha256: and {HEX_LETTERS} hexadecimal letters (0-9, a-f)");
        }
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(bytes);
        hasher.finish()
    }

    pub(crate) fn hex(&self) -> &str {
        &self.0[ALGORITHM.len()..]
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
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
        Digest(format!("{ALGORITHM}{}", hex::encode(self.0.finish())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_digest() {
        let good = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::parse(good).unwrap(), Digest::of(b""));
        assert_eq!(Digest::of(b"").hex(), &good[7..]);
        for bad in ["", "sha256:", &good[..70], &good.to_uppercase(), &good.replace("sha256", "sha512"), &good[7..]] {
            let error = Digest::parse(bad).unwrap_err().to_string();
            assert!(error.contains("is no digest, expected sha256:"), "{error}");
        }
        let error = Digest::parse(&format!("sha256:{}/", &good[8..])).unwrap_err();
        assert!(error.to_string().contains("is no digest"));
    }
}
