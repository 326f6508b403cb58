//! The kernel's own figures: /proc/uptime, /proc/stat, the command line, the host name.

use std::fs;

use anyhow::{Context, Result};

use super::host::Host;

/// Linux reports times in /proc/stat in units of USER_HZ, which is 100 on every architecture that we run on (proc(5)).
const MICROS_PER_TICK: u64 = 10_000;

/// How long the machine is up, and how much of that time its CPUs worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CpuTime {
    /// Microseconds since the kernel started.
    pub uptime_us: u64,
    /// Uptime of all CPUs together less idle and iowait, in microseconds.
    pub busy_us: u64,
}

/// Reads [`CpuTime`]: to the nanosecond on a machine with one CPU, as boots are counted on; else from /proc/uptime and /proc/stat, in steps
/// of 10 ms.
///
/// # Errors
/// If either of these is missing or not of the form that proc(5) gives.
pub fn cpu_time(host: &Host) -> Result<CpuTime> {
    let timers = fs::read_to_string(host.path("/proc/timer_list")).unwrap_or_default();
    if let Some(exact) = of_one_cpu(&timers) {
        return Ok(exact);
    }
    let uptime = read(host, "/proc/uptime")?;
    let stat = read(host, "/proc/stat")?;
    parse_cpu_time(&uptime, &stat).context("reading /proc/uptime and /proc/stat: not of the form in proc(5)")
}

/// From /proc/timer_list (kernel/time/timer_list.c). What another CPU has idled since it last went idle is not in there: None with several.
fn of_one_cpu(timers: &str) -> Option<CpuTime> {
    let mut lines = timers.lines();
    let now = lines.find_map(|line| line.strip_prefix("now at ")?.strip_suffix(" nsecs")?.parse::<u64>().ok())?;
    let mut idle = [None, None];
    for line in lines {
        if line.starts_with("cpu: ") && line != "cpu: 0" {
            return None;
        }
        let Some((name, value)) = line.trim_start().split_once(':') else { continue };
        let slot = match name.trim_end() {
            ".idle_sleeptime" => 0,
            ".iowait_sleeptime" => 1,
            _ => continue,
        };
        idle[slot] = Some(value.trim().strip_suffix(" nsecs")?.parse::<u64>().ok()?);
    }
    let busy = now.checked_sub(idle[0]? + idle[1]?)?;
    Some(CpuTime { uptime_us: now / 1000, busy_us: busy / 1000 })
}

fn parse_cpu_time(uptime: &str, stat: &str) -> Option<CpuTime> {
    let (secs, hundredths) = uptime.split_whitespace().next()?.split_once('.')?;
    let uptime_us = secs.parse::<u64>().ok()? * 1_000_000 + hundredths.parse::<u64>().ok()? * 10_000;
    let mut cpus = 0;
    let mut waiting_ticks = 0;
    for line in stat.lines() {
        let mut fields = line.split_whitespace();
        match fields.next()? {
            // cpu user nice system idle iowait …
            "cpu" => waiting_ticks = fields.nth(3)?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?,
            name if name.starts_with("cpu") => cpus += 1,
            _ => break,
        }
    }
    let busy_us = (uptime_us * cpus).saturating_sub(waiting_ticks * MICROS_PER_TICK);
    Some(CpuTime { uptime_us, busy_us })
}

/// Microseconds of CPU time that the process `pid` has used, if the kernel keeps that account (Documentation/scheduler/
/// sched-stats.rst).
///
/// # Errors
/// If /proc/PID/schedstat is there and cannot be read, or is not of the form documented.
pub fn process_cpu_us(host: &Host, pid: u32) -> Result<Option<u64>> {
    let path = format!("/proc/{pid}/schedstat");
    let text = match fs::read_to_string(host.path(&path)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        text => text.with_context(|| format!("reading {path}"))?,
    };
    let ns = text.split_whitespace().next().and_then(|ns| ns.parse::<u64>().ok());
    Ok(Some(ns.with_context(|| format!("reading {path}: {text:?} has no time"))? / 1000))
}

/// The kernel's command line.
///
/// # Errors
/// If /proc/cmdline cannot be read.
pub fn command_line(host: &Host) -> Result<String> {
    read(host, "/proc/cmdline")
}

/// The value of `key=` on the kernel's command line, if it is there.
///
/// # Errors
/// If /proc/cmdline cannot be read.
pub fn kernel_argument(host: &Host, key: &str) -> Result<Option<String>> {
    Ok(argument(&read(host, "/proc/cmdline")?, key))
}

/// The value of `key=` on the command line `line`. The last one wins, as in the kernel. Our own keys are never quoted.
pub fn argument(line: &str, key: &str) -> Option<String> {
    line.split_whitespace().rev().find_map(|word| word.strip_prefix(key)?.strip_prefix('=')).map(str::to_owned)
}

/// The host's name as the kernel has it.
///
/// # Errors
/// If /proc/sys/kernel/hostname cannot be read.
pub fn hostname(host: &Host) -> Result<String> {
    Ok(read(host, "/proc/sys/kernel/hostname")?.trim().to_owned())
}

fn read(host: &Host, path: &str) -> Result<String> {
    fs::read_to_string(host.path(path)).with_context(|| format!("reading {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cpu_is_counted_exactly() {
        let one = "Timer List Version: v0.10\nHRTIMER_MAX_CLOCK_BASES: 8\nnow at 20141833418 nsecs\n\ncpu: 0\n clock 0:\n  .base:       0\n\
                   \x20 .idle_calls     : 501\n  .idle_sleeptime : 4392975611 nsecs\n  .iowait_sleeptime: 289742447 nsecs\njiffies: 4294897464\n";
        assert_eq!(of_one_cpu(one), Some(CpuTime { uptime_us: 20_141_833, busy_us: 15_459_115 }));
        for wrong in [
            "",
            "now at 1 nsecs\n",
            &one.replace("20141833418", "1"),
            &one.replace(".iowait", ".x"),
            &format!("{one}\ncpu: 1\n"),
        ] {
            assert_eq!(of_one_cpu(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn busy_is_uptime_of_all_cpus_less_idle_and_iowait() {
        let stat = "cpu  10 0 20 150 30 0 0 0 0 0\ncpu0 5 0 10 75 15 0 0 0 0 0\ncpu1 5 0 10 75 15\nintr 1 2 3\n";
        let time = parse_cpu_time("2.50 1.50\n", stat);
        assert_eq!(time, Some(CpuTime { uptime_us: 2_500_000, busy_us: 5_000_000 - 1_800_000 }));
        for (uptime, stat) in [("", stat), ("2.50 1\n", "cpu 1 2\n"), ("x.y\n", stat)] {
            assert_eq!(parse_cpu_time(uptime, stat), None, "{uptime:?} {stat:?}");
        }
    }

    #[test]
    fn the_last_kernel_argument_wins() {
        for (key, expected) in [("a", Some("3")), ("ab", Some("2")), ("b", None), ("quiet", None)] {
            assert_eq!(argument("quiet a=1 ab=2 a=3\n", key).as_deref(), expected, "{key}");
        }
    }
}
