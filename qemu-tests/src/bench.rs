//! `bench`: the figures of the README.

use anyhow::Result;
use clap::Args;

/// Rounds of wall time when nothing else is said, and when QUICK is set.
const ROUNDS: u32 = 5;
const QUICK_ROUNDS: u32 = 2;

/// Measure the boot beside a stock Debian and the bare kernel; writes target/bench/boot.json and boot.svg
///
/// Guest instructions (QEMU's icount, one CPU, idle time taken off) hold on any machine; wall seconds are of this one,
/// the three in turn. The stock image is built once with the mkosi of `make setup`, and kept in the cache.
#[derive(Debug, Args)]
pub(super) struct Bench {
    /// Rounds of wall time [default: 5, or 2 with QUICK=1 in the environment]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,
    /// Measures nothing, and draws boot.svg anew from the last run's details.json
    #[arg(long, conflicts_with = "rounds")]
    redraw: bool,
    /// Measures an upgrade only: target/bench/upgrade.json
    #[arg(long, conflicts_with_all = ["rounds", "redraw"])]
    upgrade: bool,
    /// Measures pods only, beside ctr and podman on the stock image: target/bench/pods.json
    #[arg(long, conflicts_with_all = ["rounds", "redraw", "upgrade"])]
    pods: bool,
}

impl Bench {
    pub(super) fn run(&self) -> Result<()> {
        if self.redraw {
            return qemu_bench::redraw();
        }
        if self.upgrade {
            return qemu_bench::upgrade();
        }
        if self.pods {
            return qemu_bench::pods();
        }
        let quick = std::env::var_os("QUICK").is_some_and(|value| value != "0" && !value.is_empty());
        qemu_bench::run(self.rounds.unwrap_or(if quick { QUICK_ROUNDS } else { ROUNDS }))
    }
}
