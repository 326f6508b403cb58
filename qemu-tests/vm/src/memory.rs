//! Memory of a node: what the whole of it needs when nothing is going on, and what the agent has of it.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::deadline::Deadline;
use crate::guest::Guest;

/// Two readings are this far apart.
const PAUSE: Duration = Duration::from_secs(2);
/// After so many readings that show no less than one before them, nothing is going on any more. What a quiet node uses goes up and
/// down by a twentieth: each CPU keeps freed pages back for itself for some seconds, and these count as used.
const READINGS: usize = 8;

/// What a quiet node uses, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// MemTotal − MemAvailable: kernel, OS, containerd and pods
    pub idle_bytes: u64,
    /// The agent's resident memory
    pub agent_bytes: u64,
}

/// Waits, at most `timeout`, until the boot is over and what is used becomes less no more, and returns the least. The shell that
/// serves our commands is measured too; it has 2 MB.
///
/// # Errors
/// When the node does not come to rest in time.
pub fn when_idle(guest: &mut Guest, timeout: Duration) -> Result<Memory> {
    let deadline = Deadline::after(timeout);
    let mut readings: Vec<u64> = Vec::new();
    loop {
        // Its status is that of the question ("starting" fails), not of the asking.
        let over = guest.shell("systemctl is-system-running")?.text();
        let jobs = guest.ask("systemctl --no-pager --no-legend list-jobs")?;
        let is_over = over != "starting" && over != "initializing" && jobs.is_empty();
        if is_over {
            readings.push(in_use(&guest.ask("cat /proc/meminfo")?)?);
        } else {
            readings.clear();
        }
        if let Some(idle_bytes) = settled(&readings) {
            return Ok(Memory { idle_bytes, agent_bytes: agent_resident(guest)? });
        }
        if deadline.is_over() {
            bail!("the node did not come to rest within {deadline}: it is {over}, its jobs are {jobs:?}, {readings:?}");
        }
        std::thread::sleep(PAUSE);
    }
}

/// The agent's resident memory in bytes, what it shares with others included.
///
/// # Errors
/// When there is no agent.
pub fn agent_resident(guest: &mut Guest) -> Result<u64> {
    let pid = guest.ask("systemctl show --property=MainPID --value ballast.service")?;
    let status = guest.ask(&format!("cat /proc/{pid}/status"))?;
    kib(&status, "VmRSS:").with_context(|| format!("there is no VmRSS of process {pid}"))
}

/// This process' own resident memory in bytes.
///
/// # Errors
/// When the kernel does not report.
pub fn own_resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("reading /proc/self/status")?;
    kib(&status, "VmRSS:").context("there is no VmRSS in /proc/self/status")
}

fn in_use(meminfo: &str) -> Result<u64> {
    let value = |key| kib(meminfo, key).with_context(|| format!("there is no {key} in {meminfo}"));
    Ok(value("MemTotal:")?.saturating_sub(value("MemAvailable:")?))
}

/// The least, once [`READINGS`] in turn are not below it.
fn settled(readings: &[u64]) -> Option<u64> {
    let (at, least) = readings.iter().enumerate().min_by_key(|(_, used)| **used)?;
    (readings.len() - at > READINGS).then_some(*least)
}

/// `Key:   123 kB` in bytes.
fn kib(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.trim().strip_suffix(" kB"))?;
    Some(value.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_available_is_in_use() {
        let meminfo = "MemTotal:         989888 kB\nMemFree:          748804 kB\nMemAvailable:     889888 kB\n";
        assert_eq!(in_use(meminfo).unwrap(), 100_000 * 1024);
        assert!(in_use("MemTotal: 1 kB\n").unwrap_err().to_string().contains("MemAvailable"));
    }

    #[test]
    fn it_has_settled_when_it_becomes_no_less() {
        let falling: Vec<u64> = (0..20).map(|look| 100 - look).collect();
        assert_eq!(settled(&falling), None);
        let resting = [110, 105, 101, 103, 102, 104, 101, 103, 102, 104, 102];
        assert_eq!(settled(&resting), Some(101));
        assert_eq!(settled(&resting[..10]), None);
    }
}
