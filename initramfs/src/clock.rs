//! The two clocks of a boot: time since the kernel started, and processor time that was really used.

use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::time::{ClockId, clock_gettime};

/// The kernel counts processor time in /proc/stat in hundredths of a second (USER_HZ, fixed on x86-64).
const TICK_US: u64 = 10_000;

/// A point in the boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Microseconds since the kernel started.
    pub uptime_us: u64,
    /// Of these, over all processors, those that were neither idle nor waiting for a disk.
    pub busy_us: u64,
}

/// Microseconds since the kernel started (CLOCK_BOOTTIME).
pub fn uptime_us() -> u64 {
    micros(ClockId::Boottime)
}

/// Microseconds of processor time that /init itself has used, in the kernel and outside.
pub fn own_cpu_us() -> u64 {
    micros(ClockId::ProcessCPUTime)
}

fn micros(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0) / 1000
}

/// Measures /init from its start on.
///
/// /proc/stat alone cannot: it counts in hundredths of a second, and early in a boot, when the tick switches to high
/// resolution, its idle time even goes back. So only the start is taken from it (as the agent does at READY), and what
/// comes on top from the scheduler's exact account of what ran, if the kernel keeps one.
#[derive(Debug)]
pub struct Watch {
    /// When /init started.
    pub start: Moment,
    ran_us: Option<u64>,
}

impl Watch {
    /// Starts measuring; wants /proc.
    ///
    /// # Errors
    /// If /proc/stat cannot be read or understood.
    pub fn start() -> Result<Self> {
        let ran_us = read_ran_us();
        Ok(Self { start: read_moment()?, ran_us })
    }

    /// Now.
    ///
    /// # Errors
    /// If /proc/stat is needed, and cannot be read or understood.
    pub fn now(&self) -> Result<Moment> {
        match (self.ran_us, read_ran_us()) {
            (Some(before), Some(after)) => {
                let busy_us = self.start.busy_us + after.saturating_sub(before);
                Ok(Moment { uptime_us: uptime_us(), busy_us })
            }
            _ => read_moment(),
        }
    }
}

fn read_moment() -> Result<Moment> {
    let uptime_us = uptime_us();
    let stat = fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
    Ok(Moment { uptime_us, busy_us: busy_us(uptime_us, &stat).context("reading /proc/stat")? })
}

fn read_ran_us() -> Option<u64> {
    // The account of a processor is brought up to date when a task leaves it: leave for an instant.
    thread::sleep(Duration::from_nanos(1));
    ran_us(&fs::read_to_string("/proc/schedstat").ok()?)
}

/// Time that tasks ran, over all processors: the seventh figure of each cpu line (Documentation/scheduler/sched-stats.rst).
pub fn ran_us(schedstat: &str) -> Option<u64> {
    let cpus = schedstat.lines().filter(|line| line.starts_with("cpu"));
    let ns = cpus.map(|line| line.split_ascii_whitespace().nth(7)?.parse::<u64>().ok());
    ns.sum::<Option<u64>>().filter(|ns| *ns > 0).map(|ns| ns / 1000)
}

/// uptime × processors − idle − iowait.
///
/// # Errors
/// If the text is not that of /proc/stat.
pub fn busy_us(uptime_us: u64, stat: &str) -> Result<u64> {
    let total = stat.lines().next().and_then(|line| line.strip_prefix("cpu ")).ok_or_else(|| anyhow!("no cpu line"))?;
    let mut ticks = total.split_ascii_whitespace().skip(3).map(str::parse::<u64>);
    let (Some(Ok(idle)), Some(Ok(iowait))) = (ticks.next(), ticks.next()) else {
        return Err(anyhow!("no idle and iowait in {total:?}"));
    };
    let processors = stat.lines().skip(1).take_while(|line| line.starts_with("cpu")).count() as u64;
    Ok((uptime_us * processors).saturating_sub((idle + iowait) * TICK_US))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tasks_ran() {
        let one = "version 16\ntimestamp 4294892635\ncpu0 0 0 2000 900 800 800 1234567 55 1100\n";
        let two = format!("{one}domain0 03 1 2 3 4 5 6 7\ncpu1 0 0 1 1 1 1 1000433 0 1\n");
        for (schedstat, expected) in
            [(one, Some(1234)), (&two, Some(2235)), ("version 16\n", None), ("cpu0 1 2 3\n", None)]
        {
            assert_eq!(ran_us(schedstat), expected, "{schedstat}");
        }
    }

    #[test]
    fn busy_is_what_is_left() {
        let one = "cpu  9 0 66 17 2 0 1 0 0 0\ncpu0 9 0 66 17 2 0 1 0 0 0\nintr 1 2\n";
        let two = "cpu  1 0 1 150 10 0 0 0 0 0\ncpu0 1 0 1 70 0 0 0 0 0 0\ncpu1 0 0 0 80 10 0 0 0 0 0\nintr 0\n";
        for (uptime_us, stat, expected) in
            [(1_000_000, one, 810_000), (1_000_000, two, 400_000), (100, one, 0), (1_000_000, "cpu 1 2 3 4 5\n", 0)]
        {
            assert_eq!(busy_us(uptime_us, stat).unwrap(), expected, "{stat}");
        }
        for bad in ["", "cpu0 1 2 3 4 5\n", "cpu 1 2 3\n", "cpu a b c d e\n"] {
            assert!(busy_us(1, bad).is_err(), "{bad}");
        }
    }
}
