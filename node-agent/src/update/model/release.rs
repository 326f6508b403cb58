//! Releases: OCI images, named by the digest of their manifest.

/// The SHA-256 digest of an image's manifest (OCI Image Specification, "Digests").
pub use ballast_types::Sha256Digest as Digest;

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
    fn a_manifest_cannot_make_the_sum_overflow() {
        let layer = |bytes, is_present| Layer { bytes, is_present };
        let layers = vec![layer(u64::MAX, false), layer(u64::MAX, false), layer(1, true)];
        let digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
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
