//! Guest instructions: the guest's clock goes one nanosecond per instruction, less what it idled or waited for the disk.

use anyhow::{Context, Result};

/// /proc/stat counts in USER_HZ, 100 a second on Linux: nanoseconds in one.
const TICK_NS: u64 = 10_000_000;

/// Reads the agent's READY line: `… READY in 4.310 s (kernel …; busy 4.160 s)`.
pub(super) fn of_ours(line: &str) -> Result<u64> {
    let busy = line.split_once("busy ").and_then(|(_, rest)| rest.split_once(" s"));
    let (seconds, _) = busy.with_context(|| format!("there is no busy time in {line:?}"))?;
    nanoseconds(seconds).with_context(|| format!("reading the busy time in {line:?}"))
}

/// Reads the line of the floor and the stock image: `… READY uptime 1.42 cpu user nice system idle iowait …`, one CPU.
pub(super) fn of_others(line: &str) -> Result<u64> {
    let read = || {
        let mut words = line.split_once("uptime ")?.1.split_whitespace();
        let uptime = nanoseconds(words.next()?)?;
        let mut ticks = words.skip(1).map(|word| word.parse::<u64>().ok());
        let (idle, iowait) = (ticks.nth(3)??, ticks.next()??);
        uptime.checked_sub((idle + iowait) * TICK_NS)
    };
    read().with_context(|| format!("reading uptime and idle time in {line:?}"))
}

fn nanoseconds(seconds: &str) -> Option<u64> {
    let (whole, part) = seconds.split_once('.').unwrap_or((seconds, "0"));
    let part: u64 = format!("{part:0<9}").get(..9)?.parse().ok()?;
    Some(whole.parse::<u64>().ok()? * 1_000_000_000 + part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agents_line_is_read() {
        let line = "ballast 1: READY in 4.310 s (kernel 1.470 s, initramfs 0.090 s, userspace 2.750 s; busy 4.160 s)";
        assert_eq!(of_ours(line).unwrap(), 4_160_000_000);
        assert!(of_ours("ballast 1: READY in 4.3 s").is_err());
    }

    #[test]
    fn idle_and_iowait_are_taken_off() {
        let line = "floor: READY uptime 1.500000000 cpu  10 0 20 5 3 0 0 0 0 0";
        assert_eq!(of_others(line).unwrap(), 1_420_000_000);
        assert!(of_others("stock: READY uptime 1.5 cpu 1 2").is_err());
    }
}
