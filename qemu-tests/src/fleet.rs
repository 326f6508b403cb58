//! `fleet`: many nodes' cluster half against a real API server.

use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;

use qemu_vm::fleet::{self, Plan};

/// Nodes of a pool that may be down at once: so that a rollout has about ten waves.
const WAVES: usize = 10;

/// Let N nodes' cluster half (the real code, over machines that are not there) join a real control plane; writes target/bench/fleet.json
///
/// The control plane is that of `make control-plane`, on loopback. Measured are: all registered and Ready, steady state, the API
/// server killed and started again, a rollout through one pool.
#[derive(Debug, Args)]
pub(super) struct Fleet {
    /// How many nodes
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=5000))]
    nodes: u32,
    /// How long steady state is measured; each node writes its status every five minutes
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(10..=86_400))]
    steady: u64,
    /// How many nodes of the pool may be down at once [default: a tenth]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=5000))]
    max_unavailable: Option<u32>,
}

impl Fleet {
    pub(super) fn run(&self) -> Result<()> {
        let nodes = self.nodes as usize;
        let max_unavailable = self.max_unavailable.map_or(nodes.div_ceil(WAVES), |most| most as usize);
        let figures = fleet::run(Plan { nodes, steady: Duration::from_secs(self.steady), max_unavailable })?;
        println!("{}", serde_json::to_string_pretty(&figures).context("writing figures as JSON")?);
        figures.hold()
    }
}
