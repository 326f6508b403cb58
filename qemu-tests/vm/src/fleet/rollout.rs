//! A rollout through the pool of the whole fleet: one image for all, no more down at once than there are slots.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ballast_cluster::model::DEFAULT_POOL;

use super::{TIMEOUT, hosts};
use crate::cluster::{self, Kubectl};
use crate::deadline::Deadline;

const VERSION: &str = "20261122.1";
/// A look costs the server a list of all nodes.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Asks for another release on all nodes and waits until all run it; gives how many were seen cordoned at once.
///
/// # Errors
/// When it is not over in time, or more were down than there are slots.
pub(super) fn run(kubectl: &Kubectl, nodes: usize, max_unavailable: usize) -> Result<usize> {
    cluster::slots(kubectl, DEFAULT_POOL, max_unavailable)?;
    let names: Vec<String> = (1..=nodes).map(hosts::name).collect();
    cluster::wants(kubectl, &names, &format!("registry.example/ballast:{VERSION}"))?;
    let deadline = Deadline::after(TIMEOUT);
    let (mut most, mut done) = (0, 0);
    let over = deadline.poll(POLL_INTERVAL, || {
        let text = kubectl.run(&["get", "nodes", "--no-headers", "--label-columns=os.ballast.dev/version"])?;
        let cordoned = text.lines().filter(|line| line.contains("SchedulingDisabled")).count();
        if cordoned > max_unavailable {
            bail!("{cordoned} nodes are cordoned at once, with {max_unavailable} slots");
        }
        most = most.max(cordoned);
        done = text.lines().filter(|line| line.trim_end().ends_with(VERSION)).count();
        let held = if done == nodes && cordoned == 0 { cluster::held(kubectl, DEFAULT_POOL)?.len() } else { 1 };
        Ok((held == 0).then_some(()))
    })?;
    over.with_context(|| format!("the rollout is not over within {deadline}: {done} of {nodes} nodes run it"))?;
    ensure!(most > 0, "no node was seen cordoned: did they drain at all?");
    Ok(most)
}
