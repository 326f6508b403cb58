//! Packages and bytes, from the manifest of our image and the figures that the stock recipe writes.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use qemu_vm::lab::Lab;

/// Our image, as `make image` wrote it down.
#[derive(Debug, Serialize)]
pub(crate) struct ImageSize {
    pub(crate) packages: u64,
    pub(crate) installed_bytes: u64,
    pub(crate) compressed_bytes: u64,
    pub(crate) kernel_bytes: u64,
    pub(crate) initramfs_bytes: u64,
}

/// The stock image.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StockSize {
    pub(super) packages: u64,
    pub(super) installed_bytes: u64,
    pub(super) compressed_bytes: u64,
}

/// Of manifest.json, only what is needed here.
#[derive(Deserialize)]
struct Manifest {
    packages: Vec<serde_json::Value>,
    installed_bytes: u64,
    compressed_bytes: u64,
    kernel_bytes: u64,
    initramfs_bytes: u64,
}

/// Reads the image's `manifest.json`.
pub(crate) fn image_size(lab: &Lab) -> Result<ImageSize> {
    let manifest: Manifest = read(&lab.workspace.target.join("image/manifest.json"))?;
    Ok(ImageSize {
        packages: manifest.packages.len() as u64,
        installed_bytes: manifest.installed_bytes,
        compressed_bytes: manifest.compressed_bytes,
        kernel_bytes: manifest.kernel_bytes,
        initramfs_bytes: manifest.initramfs_bytes,
    })
}

/// Reads `stock.json`.
pub(super) fn of_stock(figures: &Path) -> Result<StockSize> {
    read(figures)
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("reading {}", path.display()))
}
