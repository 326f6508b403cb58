//! An OCI image in a folder: blobs by digest, and an index of one image.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// As the manifest names it.
pub(crate) struct Blob {
    pub(crate) digest: String,
    pub(crate) size: u64,
}

pub(crate) struct Layout {
    folder: PathBuf,
}

impl Layout {
    pub(crate) fn open(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    pub(crate) fn create(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder.join("blobs/sha256")).with_context(|| format!("making {}", folder.display()))?;
        let layout = Self::open(folder);
        layout.write("oci-layout", &json!({"imageLayoutVersion": "1.0.0"}))?;
        Ok(layout)
    }

    /// The only image's manifest.
    pub(crate) fn manifest(&self) -> Result<Value> {
        let index = self.read(&self.folder.join("index.json"))?;
        self.json(&index["manifests"][0])
    }

    /// What a descriptor names.
    pub(crate) fn json(&self, descriptor: &Value) -> Result<Value> {
        self.read(&self.path(descriptor)?)
    }

    pub(crate) fn path(&self, descriptor: &Value) -> Result<PathBuf> {
        let digest = descriptor["digest"].as_str().and_then(|digest| digest.strip_prefix("sha256:"));
        Ok(self.folder.join("blobs/sha256").join(digest.context("a descriptor has no digest")?))
    }

    /// Where a blob lies that was added.
    pub(crate) fn blob_path(&self, blob: &Blob) -> PathBuf {
        self.folder.join("blobs/sha256").join(blob.digest.trim_start_matches("sha256:"))
    }

    /// Adds what `write` writes, under its digest.
    pub(crate) fn add(&self, write: impl FnOnce(&mut Hashing) -> io::Result<()>) -> Result<Blob> {
        let blobs = self.folder.join("blobs/sha256");
        let new = blobs.join("new");
        let doing = || format!("writing a blob in {}", self.folder.display());
        let file = io::BufWriter::new(File::create(&new).with_context(doing)?);
        let mut hashing = Hashing { file, hash: Sha256::new(), size: 0 };
        write(&mut hashing).and_then(|()| hashing.file.flush()).with_context(doing)?;
        let hex = hex::encode(hashing.hash.finalize());
        fs::rename(&new, blobs.join(&hex)).with_context(doing)?;
        Ok(Blob { digest: format!("sha256:{hex}"), size: hashing.size })
    }

    /// Adds a document. Its keys are sorted, so that the same content has the same digest.
    pub(crate) fn add_json(&self, value: &Value) -> Result<Blob> {
        self.add(|file| file.write_all(value.to_string().as_bytes()))
    }

    pub(crate) fn write_index(&self, manifest: &Blob, media_type: &str, platform: &Value, tag: &str) -> Result<()> {
        let image = json!({"mediaType": media_type, "digest": manifest.digest, "size": manifest.size,
            "platform": platform, "annotations": {"org.opencontainers.image.ref.name": tag}});
        let media_type = "application/vnd.oci.image.index.v1+json";
        self.write("index.json", &json!({"schemaVersion": 2, "mediaType": media_type, "manifests": [image]}))
    }

    fn write(&self, name: &str, value: &Value) -> Result<()> {
        let path = self.folder.join(name);
        fs::write(&path, value.to_string()).with_context(|| format!("writing {}", path.display()))
    }

    fn read(&self, path: &Path) -> Result<Value> {
        let doing = || format!("reading {}", path.display());
        serde_json::from_slice(&fs::read(path).with_context(doing)?).with_context(doing)
    }
}

/// A file that is hashed as it is written.
pub(crate) struct Hashing {
    file: io::BufWriter<File>,
    hash: Sha256,
    size: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
