//! Releases for tests: the real one with an ordinary layer on top, as whoever writes `FROM ballast` would make them.
//!
//! ```text
//!  target/image/ballast.oci ──Base──> Release (version, files, labels) ──write──> Written (layout, digest) ──> registry
//! ```
//! What is broken about a release is broken here, in its files; the product has no switch for it.

mod broken;
mod changed;
mod layer;
mod layout;
mod pod;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use self::layer::Layer;
use self::layout::{Blob, Layout};
pub use self::pod::{PodImage, canary_by_digest};
use crate::workspace::Image;

/// The label, and the annotation, of a release's version.
const VERSION: &str = "org.opencontainers.image.version";

/// The release under test: what the others are made from.
#[derive(Clone, Debug)]
pub struct Base {
    image: Image,
    layout: Layout,
    manifest: Value,
    config: Value,
}

impl Base {
    /// Reads `target/image/ballast.oci`.
    ///
    /// # Errors
    /// When it is missing or no OCI layout of one image.
    pub fn of(image: &Image) -> Result<Self> {
        let layout = Layout::open(image.release.clone())?;
        let manifest = layout.manifest()?;
        let config =
            layout.json(manifest["config"]["digest"].as_str().context("a manifest without a configuration")?)?;
        Ok(Self { image: image.clone(), layout, manifest, config })
    }

    /// The same image with `below` as its release: what is made from it has the layer of `below` and one of its own.
    ///
    /// # Errors
    /// When `below` cannot be read.
    pub fn above(image: &Image, below: &Written) -> Result<Self> {
        Self::of(&Image { release: below.folder.clone(), ..image.clone() })
    }

    /// Its version.
    ///
    /// # Errors
    /// When it has no label for it.
    pub fn version(&self) -> Result<&str> {
        self.label(VERSION)
    }

    /// One of its labels.
    ///
    /// # Errors
    /// When it has no such label.
    pub fn label(&self, name: &str) -> Result<&str> {
        let label = self.config["config"]["Labels"][name].as_str();
        label.with_context(|| format!("the release has no label {name}"))
    }

    /// The digest of its manifest.
    ///
    /// # Errors
    /// When its index has none.
    pub fn digest(&self) -> Result<String> {
        self.layout.digest()
    }

    /// Bytes of all its layers, compressed.
    pub fn bytes(&self) -> u64 {
        let layers = self.manifest["layers"].as_array().into_iter().flatten();
        layers.filter_map(|layer| layer["size"].as_u64()).sum()
    }

    /// The layout itself: it can be pushed as it is.
    pub fn folder(&self) -> &Path {
        &self.layout.folder
    }

    /// A release that differs from this one in its version only.
    ///
    /// # Errors
    /// When the image's os-release cannot be read.
    pub fn release(&self, version: &str) -> Result<Release> {
        let mut release = Release {
            base: self.clone(),
            version: version.to_owned(),
            layer: Layer::default(),
            config: self.config.clone(),
            claimed: None,
        };
        release.config["config"]["Labels"][VERSION] = version.into();
        let old = release.read("usr/lib/os-release")?;
        let new = os_release(&String::from_utf8_lossy(&old), version);
        Ok(release.file("usr/lib/os-release", new))
    }
}

/// A release in the making.
#[derive(Clone, Debug)]
pub struct Release {
    base: Base,
    version: String,
    layer: Layer,
    config: Value,
    claimed: Option<u64>,
}

/// A release as an OCI layout.
#[derive(Clone, Debug)]
pub struct Written {
    /// The layout
    pub folder: PathBuf,
    /// Its version
    pub version: String,
    /// The digest of its manifest
    pub digest: String,
    /// The manifest
    pub manifest: Vec<u8>,
    /// The digest of the layer that is on top
    pub layer: String,
    /// How many bytes that has
    pub layer_bytes: u64,
}

impl Release {
    /// With this file, readable by all.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.layer.file(path, 0o644, content.into());
        self
    }

    /// With this program.
    #[must_use]
    pub fn program(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.layer.file(path, 0o755, content.into());
        self
    }

    /// With a link at `path`.
    #[must_use]
    pub fn link(mut self, path: &str, target: &str) -> Self {
        self.layer.link(path, target);
        self
    }

    /// Without the file or folder at `path` (a whiteout, OCI image specification, layer.md).
    #[must_use]
    pub fn without(mut self, path: &str) -> Self {
        self.layer.whiteout(path);
        self
    }

    /// With another label.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.config["config"]["Labels"][name] = value.into();
        self
    }

    /// For another processor.
    #[must_use]
    pub fn architecture(mut self, name: &str) -> Self {
        self.config["architecture"] = name.into();
        self
    }

    /// With a manifest that claims so many bytes for the layer on top. Only [`push_manifest`](crate::registry::push_manifest) takes it.
    #[must_use]
    pub fn claiming(mut self, bytes: u64) -> Self {
        self.claimed = Some(bytes);
        self
    }

    /// Writes it into the folder `into`, which must not be there yet.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(mut self, into: &Path) -> Result<Written> {
        let (tar, compressed) = self.layer.pack().context("packing the layer")?;
        let layout = self.base.layout.copy(into)?;
        let layer = layout.add(&compressed)?;
        let mut manifest = self.base.manifest.clone();
        push(&mut self.config["rootfs"]["diff_ids"], Blob::of(&tar).digest.into())?;
        let created = self.config["created"].clone();
        push(&mut self.config["history"], json!({"created": created, "created_by": "qemu-tests"}))?;
        let config = layout.add(&serde_json::to_vec(&self.config).context("writing a configuration")?)?;
        manifest["config"]["digest"] = config.digest.into();
        manifest["config"]["size"] = config.size.into();
        let size = self.claimed.unwrap_or(layer.size);
        let media_type = "application/vnd.oci.image.layer.v1.tar+gzip";
        push(&mut manifest["layers"], json!({"mediaType": media_type, "digest": layer.digest, "size": size}))?;
        // Its annotations say what its labels say.
        if let (Some(annotations), Some(labels)) =
            (manifest["annotations"].as_object_mut(), self.config["config"]["Labels"].as_object())
        {
            for (name, value) in annotations.iter_mut() {
                if let Some(label) = labels.get(name) {
                    value.clone_from(label);
                }
            }
        }
        let manifest = serde_json::to_vec(&manifest).context("writing a manifest")?;
        let digest = layout.name(&manifest)?;
        let (layer, layer_bytes) = (layer.digest, layer.size);
        Ok(Written { folder: layout.folder, version: self.version, digest, manifest, layer, layer_bytes })
    }

    /// The content of a file of the release under test.
    fn read(&self, path: &str) -> Result<Vec<u8>> {
        let file = self.base.image.root.join(path);
        std::fs::read(&file).with_context(|| format!("reading {}; `make image` leaves it", file.display()))
    }
}

/// os-release(5) `old` with another version.
pub fn os_release(old: &str, version: &str) -> String {
    let line = |line: &str| match line.split_once('=') {
        Some((key @ ("VERSION_ID" | "IMAGE_VERSION"), _)) => format!("{key}={version}\n"),
        Some(("PRETTY_NAME", _)) => format!("PRETTY_NAME=\"Ballast {version}\"\n"),
        _ => format!("{line}\n"),
    };
    old.lines().map(line).collect()
}

fn push(array: &mut Value, value: Value) -> Result<()> {
    if array.is_null() {
        *array = json!([]);
    }
    array.as_array_mut().context("an image whose lists are no lists")?.push(value);
    Ok(())
}
