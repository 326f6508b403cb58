//! The two clocks of a boot: time since the kernel started, and processor time that was really used.

use std::fs;

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

/// Now; wants /proc.
///
/// # Errors
/// If /proc/stat cannot be read or understood.
pub fn moment() -> Result<Moment> {
    let uptime_us = uptime_us();
    let stat = fs::read_to_string("/proc/stat").context("reading /proc/stat")?;
    Ok(Moment { uptime_us, busy_us: busy_us(uptime_us, &stat).context("reading /proc/stat")? })
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
