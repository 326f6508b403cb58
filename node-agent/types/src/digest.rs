//! Digests of content (github.com/opencontainers/image-spec, descriptor.md).

use std::{fmt, str::FromStr};

/// The algorithms that registries and containerd know, with the letters of their hexadecimal form.
const ALGORITHMS: [(&str, usize); 3] = [("sha256", 64), ("sha384", 96), ("sha512", 128)];

/// `sha256:` and 64 hexadecimal letters, or the same of sha384 and sha512.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(String);

/// A text that is no digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a digest, expected sha256: and 64 hexadecimal letters (0-9, a-f)")]
pub struct NotADigest {
    /// The text.
    pub text: String,
}

impl Digest {
    /// The digest that `text` is.
    ///
    /// # Errors
    /// If the algorithm is unknown, or what follows does not have its length in lower-case hexadecimal letters.
    pub fn parse(text: &str) -> Result<Self, NotADigest> {
        let is_hex = |hex: &str| hex.bytes().all(|letter| matches!(letter, b'0'..=b'9' | b'a'..=b'f'));
        let fits = text.split_once(':').is_some_and(|(algorithm, hex)| {
            ALGORITHMS.iter().any(|(name, letters)| *name == algorithm && hex.len() == *letters) && is_hex(hex)
        });
        if fits { Ok(Self(text.to_owned())) } else { Err(NotADigest { text: text.to_owned() }) }
    }

    /// As `sha256`.
    pub fn algorithm(&self) -> &str {
        self.0.split(':').next().unwrap_or_default()
    }

    /// The hexadecimal letters.
    pub fn hex(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, hex)| hex)
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_has_the_length_of_its_algorithm() {
        let good = format!("sha256:{}", "0a".repeat(32));
        let digest = Digest::parse(&good).unwrap();
        assert_eq!((digest.algorithm(), digest.hex(), digest.as_str()), ("sha256", &good[7..], good.as_str()));
        assert!(Digest::parse(&format!("sha512:{}", "f".repeat(128))).is_ok());
        for bad in [
            "",
            "sha256",
            "sha256:",
            &good[..70],
            &good.to_uppercase(),
            &good.replace("sha256", "sha512"),
            &good.replace("sha256", "md5"),
            &good.replace('a', "g"),
            &good[7..],
        ] {
            let error = Digest::parse(bad).unwrap_err().to_string();
            assert!(error.contains("is not a digest, expected sha256:"), "{error}");
        }
    }
}
