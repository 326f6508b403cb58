//! `boot.json`: the figures, under the names that the README and the issue use.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::sizes::{ImageSize, StockSize};
use super::timeline::{Share, Timeline};
use super::wall::Wall;

/// All figures. Instructions are the guest's; sizes are bytes.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) ready_instructions: u64,
    /// With a kilobyte of settings
    pub(super) settings_ready_instructions: u64,
    pub(super) cluster_ready_instructions: u64,
    pub(super) kernel_instructions: u64,
    pub(super) initramfs_instructions: u64,
    pub(super) floor_instructions: u64,
    pub(super) stock_ready_instructions: u64,
    /// Whose they are, of one run with the command channel; the CPU time as the node's kernel accounts for it
    pub(super) busy_by: Vec<Share>,
    pub(super) idle_memory_bytes: u64,
    pub(super) agent_memory_bytes: u64,
    pub(super) wall: Wall,
    pub(super) image: ImageSize,
    pub(super) stock: StockSize,
}

/// What the figures were made from, for whoever doubts them: `details.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Details {
    pub(super) accelerator_of_wall: String,
    pub(super) ready_instructions_of_each_run: Vec<u64>,
    /// The end of the kernel with an empty /init, as the picture has it
    pub(super) floor_us: u64,
    pub(super) ours: Timeline,
    pub(super) stock: Timeline,
}

/// Writes `value` to `path`.
pub(super) fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).context("writing figures as JSON")?;
    std::fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))
}

/// Reads the details of the last session.
pub(super) fn details(path: &Path) -> Result<Details> {
    let what = || format!("reading {}; a whole run of the bench leaves it", path.display());
    serde_json::from_str(&std::fs::read_to_string(path).with_context(what)?).with_context(what)
}
