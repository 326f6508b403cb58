//! `fleet.json`: the figures, under the names that the README and the issue use.

use std::iter::Sum;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use ballast_cluster::model::Report;
use serde::Serialize;

/// Seconds are of this host.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Figures {
    /// How many there were
    pub nodes: usize,
    /// Until all were Ready
    pub all_ready_s: f64,
    /// In steady state
    pub requests_per_node_per_minute: f64,
    /// The same, sent and received
    pub bytes_per_node_per_minute: f64,
    /// CPU time of the API server in steady state
    pub apiserver_cpu_s_per_node_hour: f64,
    /// Resident memory that a membership and its machine add to this process
    pub rss_per_node_bytes: u64,
    /// From the kill until all Leases were renewed and all were Ready
    pub reconnect_all_ready_s: f64,
    /// Until all ran another release, a slot at a time
    pub rollout_s: f64,
}

/// From this many nodes on the figures have limits: those are of a thousand.
const LARGE: usize = 1000;
/// What LifseaOS publishes for a thousand real nodes
const ALL_READY_S: f64 = 53.0;
/// A Lease each ten seconds, and what comes every five minutes
const REQUESTS_PER_NODE_PER_MINUTE: f64 = 7.0;
/// Nobody waits longer than a minute for its nodes
const RECONNECT_ALL_READY_S: f64 = 60.0;

impl Figures {
    /// Holds those of a large fleet against their limits.
    ///
    /// # Errors
    /// When one is above its own: all of them, in one sentence.
    pub fn hold(&self) -> Result<()> {
        let figures = [
            ("all_ready_s", self.all_ready_s, ALL_READY_S),
            ("requests_per_node_per_minute", self.requests_per_node_per_minute, REQUESTS_PER_NODE_PER_MINUTE),
            ("reconnect_all_ready_s", self.reconnect_all_ready_s, RECONNECT_ALL_READY_S),
        ];
        let above = figures.iter().filter(|(_, is, limit)| is > limit && self.nodes >= LARGE);
        let above: Vec<String> = above.map(|(name, is, limit)| format!("{name} is {is:.1}, at most {limit}")).collect();
        ensure!(above.is_empty(), "{} nodes: {}", self.nodes, above.join("; "));
        Ok(())
    }

    /// Writes them.
    pub(super) fn write(&self, file: &Path) -> Result<()> {
        let folder = file.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let text = serde_json::to_string_pretty(self).context("writing figures as JSON")?;
        std::fs::write(file, text + "\n").with_context(|| format!("writing {}", file.display()))
    }
}

/// What memberships say of their own requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traffic {
    requests: u64,
    bytes: u64,
}

impl Traffic {
    pub(super) fn of(report: &Report) -> Self {
        let traffic = report.traffic;
        Self { requests: traffic.requests, bytes: traffic.bytes_sent + traffic.bytes_received }
    }

    /// What came after `before`.
    pub(super) fn since(self, before: &Self) -> Self {
        let Self { requests, bytes } = self;
        Self { requests: requests.saturating_sub(before.requests), bytes: bytes.saturating_sub(before.bytes) }
    }

    pub(super) fn requests_per_node_minute(self, nodes: usize, lasted: Duration) -> f64 {
        per_node_minute(self.requests, nodes, lasted)
    }

    pub(super) fn bytes_per_node_minute(self, nodes: usize, lasted: Duration) -> f64 {
        per_node_minute(self.bytes, nodes, lasted)
    }
}

impl Sum for Traffic {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            requests: sum.requests + one.requests,
            bytes: sum.bytes + one.bytes,
        })
    }
}

fn per_node_minute(count: u64, nodes: usize, lasted: Duration) -> f64 {
    count as f64 / nodes as f64 / (lasted.as_secs_f64() / 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_fleet_is_held_to_its_limits() {
        let figures = |nodes, all_ready_s, requests_per_node_per_minute, reconnect_all_ready_s| Figures {
            nodes,
            all_ready_s,
            requests_per_node_per_minute,
            bytes_per_node_per_minute: 0.0,
            apiserver_cpu_s_per_node_hour: 0.0,
            rss_per_node_bytes: 0,
            reconnect_all_ready_s,
            rollout_s: 0.0,
        };
        figures(1000, 25.0, 6.5, 19.0).hold().unwrap();
        figures(999, 99.0, 99.0, 99.0).hold().unwrap();
        let reported = figures(1000, 53.1, 7.0, 61.0).hold().unwrap_err().to_string();
        assert_eq!(reported, "1000 nodes: all_ready_s is 53.1, at most 53; reconnect_all_ready_s is 61.0, at most 60");
    }

    #[test]
    fn traffic_is_reported_for_one_node_and_minute() {
        let report = |requests| {
            let mut report = Report::default();
            let traffic = &mut report.traffic;
            (traffic.requests, traffic.bytes_sent, traffic.bytes_received) = (requests, 10 * requests, 5);
            report
        };
        let before: Traffic = [report(5), report(7)].iter().map(Traffic::of).sum();
        let after: Traffic = [report(19), report(21)].iter().map(Traffic::of).sum();
        let traffic = after.since(&before);
        let lasted = Duration::from_secs(120);
        assert!((traffic.requests_per_node_minute(2, lasted) - 7.0).abs() < 1e-9, "{traffic:?}");
        assert!((traffic.bytes_per_node_minute(2, lasted) - 70.0).abs() < 1e-9, "{traffic:?}");
    }
}
