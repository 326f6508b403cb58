//! `fleet.json`: the figures, under the names that the README and the issue use.

use std::iter::Sum;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
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

impl Figures {
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
        Self { requests: report.requests, bytes: report.bytes_sent + report.bytes_received }
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
    fn traffic_is_told_for_one_node_and_minute() {
        let report = |requests| Report { requests, bytes_sent: 10 * requests, bytes_received: 5, ..Report::default() };
        let before: Traffic = [report(5), report(7)].iter().map(Traffic::of).sum();
        let after: Traffic = [report(19), report(21)].iter().map(Traffic::of).sum();
        let traffic = after.since(&before);
        let lasted = Duration::from_secs(120);
        assert!((traffic.requests_per_node_minute(2, lasted) - 7.0).abs() < 1e-9, "{traffic:?}");
        assert!((traffic.bytes_per_node_minute(2, lasted) - 70.0).abs() < 1e-9, "{traffic:?}");
    }
}
