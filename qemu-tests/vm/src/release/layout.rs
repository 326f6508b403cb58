//! An OCI layout of one image (image-layout.md of the specification): read, copied cheaply, added to.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::checksum::sha256;

/// A blob as manifests speak of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) digest: String,
    pub(super) size: u64,
}

impl Blob {
    pub(super) fn of(content: &[u8]) -> Self {
        Self { digest: format!("sha256:{}", sha256(content)), size: content.len() as u64 }
    }
}

/// The folder of a layout.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) folder: PathBuf,
}

impl Layout {
    pub(super) fn open(folder: PathBuf) -> Result<Self> {
        if !folder.join("oci-layout").exists() {
            bail!(
                "there is no release to make others from: {} is no OCI layout; `make image` makes it",
                folder.display()
            );
        }
        Ok(Self { folder })
    }

    /// The digest of its one image.
    pub(super) fn digest(&self) -> Result<String> {
        let file = self.folder.join("index.json");
        let text = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        let index: Value = serde_json::from_slice(&text).with_context(|| format!("reading {}", file.display()))?;
        let digest = index["manifests"][0]["digest"].as_str();
        digest.map(str::to_owned).with_context(|| format!("{} names no image", file.display()))
    }

    pub(super) fn manifest(&self) -> Result<Value> {
        self.json(&self.digest()?)
    }

    pub(super) fn json(&self, digest: &str) -> Result<Value> {
        let file = self.blob(digest)?;
        let text = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("reading {}", file.display()))
    }

    /// Another layout with the same blobs, as hard links where that goes.
    pub(super) fn copy(&self, into: &Path) -> Result<Self> {
        let (from, to) = (self.folder.join("blobs/sha256"), into.join("blobs/sha256"));
        fs::create_dir_all(&to).with_context(|| format!("making {}", to.display()))?;
        for blob in fs::read_dir(&from).with_context(|| format!("listing {}", from.display()))? {
            let blob = blob.with_context(|| format!("listing {}", from.display()))?;
            let target = to.join(blob.file_name());
            if fs::hard_link(blob.path(), &target).is_err() {
                fs::copy(blob.path(), &target).with_context(|| format!("copying {}", target.display()))?;
            }
        }
        fs::write(into.join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}").context("writing oci-layout")?;
        Ok(Self { folder: into.to_owned() })
    }

    /// Adds a blob.
    pub(super) fn add(&self, content: &[u8]) -> Result<Blob> {
        let blob = Blob::of(content);
        let file = self.blob(&blob.digest)?;
        // It may be a link to the blob of another layout: the same content then.
        if !file.exists() {
            fs::write(&file, content).with_context(|| format!("writing {}", file.display()))?;
        }
        Ok(blob)
    }

    /// Adds a manifest and makes it the layout's one image; gives its digest.
    pub(super) fn name(&self, manifest: &[u8]) -> Result<String> {
        let blob = self.add(manifest)?;
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let entry = json!({"mediaType": media_type, "digest": blob.digest, "size": blob.size});
        let index = json!({"schemaVersion": 2, "manifests": [entry]});
        fs::write(self.folder.join("index.json"), index.to_string()).context("writing index.json")?;
        Ok(blob.digest)
    }

    fn blob(&self, digest: &str) -> Result<PathBuf> {
        let hex = digest.strip_prefix("sha256:").filter(|hex| hex.chars().all(|c| c.is_ascii_hexdigit()));
        Ok(self.folder.join("blobs/sha256").join(hex.with_context(|| format!("the digest {digest:?}"))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_can_be_added_to_and_its_base_stays() {
        let dir = tempfile::tempdir().unwrap();
        let base = Layout { folder: dir.path().join("base") };
        fs::create_dir_all(base.folder.join("blobs/sha256")).unwrap();
        fs::write(base.folder.join("oci-layout"), "{}").unwrap();
        let first = base.name(b"{\"a\":1}").unwrap();
        let copy = Layout::open(base.folder.clone()).unwrap().copy(&dir.path().join("copy")).unwrap();
        let second = copy.name(b"{\"a\":2}").unwrap();
        assert_eq!(
            (copy.manifest().unwrap()["a"].as_u64(), copy.json(&first).unwrap()["a"].as_u64()),
            (Some(2), Some(1))
        );
        assert_eq!(base.digest().unwrap(), first);
        assert!(base.json(&second).is_err());
        assert!(base.json("sha256:../../x").is_err());
    }

    #[test]
    fn what_is_no_layout_says_what_makes_one() {
        let error = Layout::open("/nowhere".into()).unwrap_err().to_string();
        assert!(error.contains("`make image` makes it"), "{error}");
    }
}
