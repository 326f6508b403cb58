//! `boot.json`: the figures, under the names that the README and the issue use.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::sizes::{ImageSize, StockSize};
use super::timeline::{Share, Timeline};
use super::wall::Wall;

/// All figures. Instructions are the guest's; sizes are bytes.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) ready_instructions: u64,
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
#[derive(Debug, Serialize)]
pub(super) struct Details {
    pub(super) accelerator_of_wall: &'static str,
    pub(super) ready_instructions_of_each_run: Vec<u64>,
    pub(super) ours: Timeline,
    pub(super) stock: Timeline,
}

/// Writes `value` to `path`.
pub(super) fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value).context("writing figures as JSON")?;
    std::fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))
}
