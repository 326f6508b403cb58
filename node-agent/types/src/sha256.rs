//! Digests by SHA-256: what releases, artifacts and registries' content are named by.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

const ALGORITHM: &str = "sha256:";

/// `sha256:` and 64 lower-case hexadecimal letters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256Digest(String);

/// A text that is no such digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no digest, expected sha256: and 64 hexadecimal letters (0-9, a-f)")]
pub struct NotSha256 {
    text: String,
}

impl Sha256Digest {
    /// Of these bytes, which somebody has hashed.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("{ALGORITHM}{hex}"))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hexadecimal letters.
    pub fn hex(&self) -> &str {
        self.0.get(ALGORITHM.len()..).unwrap_or_default()
    }

    /// Its first letters, enough for people: `sha256:0123456789ab`.
    pub fn short(&self) -> &str {
        self.0.get(..19).unwrap_or(&self.0)
    }
}

impl FromStr for Sha256Digest {
    type Err = NotSha256;

    fn from_str(text: &str) -> Result<Self, NotSha256> {
        let is_letter = |letter| matches!(letter, b'0'..=b'9' | b'a'..=b'f');
        let hex = text.strip_prefix(ALGORITHM).unwrap_or_default();
        let fits = hex.len() == 64 && hex.bytes().all(is_letter);
        if fits { Ok(Self(text.to_owned())) } else { Err(NotSha256 { text: text.to_owned() }) }
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for Sha256Digest {
    type Error = NotSha256;

    fn try_from(text: String) -> Result<Self, NotSha256> {
        text.parse()
    }
}

impl From<Sha256Digest> for String {
    fn from(digest: Sha256Digest) -> Self {
        digest.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_parsed_once_and_for_all() {
        let good = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let digest: Sha256Digest = good.parse().unwrap();
        assert_eq!((digest.hex(), digest.short(), digest.to_string().as_str()), (&good[7..], &good[..19], good));
        assert_eq!(serde_json::to_string(&digest).unwrap(), format!("\"{good}\""));
        assert_eq!(serde_json::from_str::<Sha256Digest>(&format!("\"{good}\"")).unwrap(), digest);
        let upper = good.to_uppercase();
        let other = good.replace("sha256", "sha512");
        for bad in ["", "sha256:", &good[..70], &upper, &other, &good[7..], &format!("{}/", &good[..70])] {
            let error = bad.parse::<Sha256Digest>().unwrap_err().to_string();
            assert!(error.contains("is no digest, expected sha256:"), "{error}");
            assert!(serde_json::from_str::<Sha256Digest>(&format!("{bad:?}")).is_err());
        }
    }

    #[test]
    fn bytes_are_written_in_their_order() {
        let mut bytes = [0; 32];
        (bytes[0], bytes[31]) = (0xab, 1);
        let digest = Sha256Digest::from_bytes(&bytes);
        assert!(digest.hex().starts_with("ab00") && digest.hex().ends_with("0001"));
        assert_eq!(digest.as_str().parse(), Ok(digest.clone()));
    }
}
