//! Releases: OCI images, named by the digest of their manifest.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The SHA-256 digest of an image's manifest (OCI Image Specification, "Digests").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// `sha256:` and 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("sha256:")?;
        let is_hex = hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_hex.then(|| Self(text.to_owned()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its first letters, enough for people: `sha256:0123456789ab`.
    pub fn short(&self) -> &str {
        self.0.get(..19).unwrap_or(&self.0)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("{text:?} is not of the form sha256:… with 64 hexadecimal digits"))
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

/// What a registry offers: resolved, its signature checked, nothing of it fetched yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The manifest's digest: from here on the release's name.
    pub digest: Digest,
    /// Its version.
    pub version: String,
    /// `ID` of the operating system in it.
    pub os_id: String,
    /// Its processor architecture, as Go calls it.
    pub architecture: String,
    /// Its layers.
    pub layers: Vec<Layer>,
    /// Bytes of all its files.
    pub installed_bytes: u64,
    /// How many objects (files) it has.
    pub objects: u64,
    /// Bytes of its kernel and initramfs.
    pub boot_bytes: u64,
    /// When the first of the signatures that it needs runs out, in seconds since 1970, if one does.
    pub signed_until: Option<u64>,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its size as it travels.
    pub bytes: u64,
    /// Whether this node has it.
    pub is_present: bool,
}

impl Offer {
    /// How many bytes would have to be fetched.
    pub fn missing_bytes(&self) -> u64 {
        self.layers.iter().filter(|layer| !layer.is_present).fold(0, |sum, layer| sum.saturating_add(layer.bytes))
    }

    /// How many bytes all layers have.
    pub fn total_bytes(&self) -> u64 {
        self.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_sha256_in_hexadecimal() {
        let text = format!("sha256:{}", "0a".repeat(32));
        let digest = Digest::parse(&text).unwrap();
        assert_eq!((digest.as_str(), digest.short()), (text.as_str(), "sha256:0a0a0a0a0a0a"));
        assert_eq!(serde_json::from_str::<Digest>(&format!("\"{text}\"")).unwrap(), digest);
        for failed in ["", "sha256:", &text.to_uppercase(), &text[..70], &format!("{text}0"), "sha512:00"] {
            assert_eq!(Digest::parse(failed), None, "{failed}");
        }
    }

    #[test]
    fn a_manifest_cannot_make_the_sum_overflow() {
        let layer = |bytes, is_present| Layer { bytes, is_present };
        let layers = vec![layer(u64::MAX, false), layer(u64::MAX, false), layer(1, true)];
        let digest = Digest::parse(&format!("sha256:{}", "0".repeat(64))).unwrap();
        let offer = Offer {
            digest,
            version: String::new(),
            os_id: String::new(),
            architecture: String::new(),
            layers,
            installed_bytes: 0,
            objects: 0,
            boot_bytes: 0,
            signed_until: None,
        };
        assert_eq!((offer.missing_bytes(), offer.total_bytes()), (u64::MAX, u64::MAX));
    }
}
