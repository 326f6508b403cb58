//! Measuring: the manifest has the sizes, counted boots the instructions, one quiet node the memory.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};

use super::figure::Figure;
use crate as bench;
use qemu_vm::deadline::Deadline;
use qemu_vm::evidence::Evidence;
use qemu_vm::lab::{Lab, Options};
use qemu_vm::memory;
use qemu_vm::node::{Node, PODS_SECS, READY};

/// How long the rest of the boot may take, until nothing is going on.
const REST_SECS: u64 = 180;

/// What was measured of each figure.
#[derive(Debug)]
pub struct Measured(BTreeMap<Figure, u64>);

impl Measured {
    /// Asks for each figure.
    pub(super) fn with(value: impl Fn(Figure) -> u64) -> Self {
        Self(Figure::ALL.iter().map(|&figure| (figure, value(figure))).collect())
    }

    /// What was measured of `figure`.
    pub fn of(&self, figure: Figure) -> u64 {
        // There is no way to make one that lacks a figure.
        self.0[&figure]
    }
}

/// Measures the image under test: ten boots, some two minutes on two quiet cores.
///
/// # Errors
/// When there is no image, or a machine does not come up.
pub fn measure(lab: &Lab) -> Result<Measured> {
    let image = bench::image_size(lab)?;
    let [instructions, with_settings, with_cluster] = bench::count(lab)?;
    let memory = idle_node(lab)?;
    Ok(Measured::with(|figure| match figure {
        Figure::ReadyInstructions => instructions,
        Figure::SettingsReadyInstructions => with_settings,
        Figure::ClusterReadyInstructions => with_cluster,
        Figure::Packages => image.packages,
        Figure::InstalledBytes => image.installed_bytes,
        Figure::CompressedBytes => image.compressed_bytes,
        Figure::KernelBytes => image.kernel_bytes,
        Figure::InitramfsBytes => image.initramfs_bytes,
        Figure::IdleMemoryBytes => memory.idle_bytes,
        Figure::AgentMemoryBytes => memory.agent_bytes,
    }))
}

/// Boots a node, and measures its memory when nothing is going on any more.
pub(crate) fn idle_node(lab: &Lab) -> Result<memory::Memory> {
    let evidence = Evidence::fresh(lab.workspace.own("budget"))?;
    let mut node = Node::start(lab, &Options::default(), evidence.folder())?;
    let measured = (|| {
        node.ready(Deadline::after(READY))?;
        node.status_when("the canary pod runs", PODS_SECS, |status| status.runs("canary"))?;
        memory::when_idle(&mut node.guest, Duration::from_secs(REST_SECS))
    })();
    let measured = measured.with_context(|| format!("measuring memory; see {}", evidence.folder().display()))?;
    node.discard();
    evidence.discard();
    Ok(measured)
}
