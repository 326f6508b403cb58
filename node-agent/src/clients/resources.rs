//! What the machine has of processors, memory and processes, what is left of it, and what the agent itself takes (proc(5)).

use std::{fs, process, thread::available_parallelism};

use anyhow::{Context, Result};

use super::host::Host;

/// Memory of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// All that the kernel has.
    pub total_bytes: u64,
    /// What can be had without swapping, by the kernel's estimate.
    pub available_bytes: u64,
}

/// Processes and threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Processes {
    /// The most that there can be.
    pub max: u64,
    /// How many there are.
    pub used: u64,
}

/// What the agent takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Own {
    /// Memory of its own and of files, now.
    pub resident_bytes: u64,
    /// CPU time since it was started.
    pub cpu_us: u64,
}

/// How many processors the agent may use, which are all.
///
/// # Errors
/// If the kernel does not report.
pub fn processors() -> Result<u32> {
    let count = available_parallelism().context("asking the kernel for its processors")?;
    u32::try_from(count.get()).context("asking the kernel for its processors")
}

/// Memory there is.
///
/// # Errors
/// If /proc/meminfo is missing or not of the form that proc(5) gives.
pub fn memory(host: &Host) -> Result<Memory> {
    let text = read(host, "/proc/meminfo")?;
    let bytes = |key: &str| kib(&text, key).with_context(|| format!("reading /proc/meminfo: it has no {key}"));
    Ok(Memory { total_bytes: bytes("MemTotal")?, available_bytes: bytes("MemAvailable")? })
}

/// Processes and threads there are.
///
/// # Errors
/// If /proc/sys/kernel/pid_max or /proc/loadavg is missing or not of the form that proc(5) gives.
pub fn processes(host: &Host) -> Result<Processes> {
    let max = read(host, "/proc/sys/kernel/pid_max")?;
    let load = read(host, "/proc/loadavg")?;
    // 0.20 0.18 0.12 1/80 11206: of the fraction the denominator.
    let used = load.split_whitespace().nth(3).and_then(|fraction| fraction.split_once('/')?.1.parse().ok());
    Ok(Processes {
        max: max.trim().parse().context("reading /proc/sys/kernel/pid_max: it is no number")?,
        used: used.context("reading /proc/loadavg: not of the form in proc(5)")?,
    })
}

/// What the agent takes now.
///
/// # Errors
/// If the kernel does not keep that account.
pub fn own(host: &Host) -> Result<Own> {
    let status = read(host, "/proc/self/status")?;
    let resident_bytes = kib(&status, "VmRSS").context("reading /proc/self/status: it has no VmRSS")?;
    let cpu_us = super::proc::process_cpu_us(host, process::id())?.unwrap_or_default();
    Ok(Own { resident_bytes, cpu_us })
}

/// The value of a line `KEY:   1234 kB`, in bytes.
fn kib(text: &str, key: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    value.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

fn read(host: &Host, path: &str) -> Result<String> {
    fs::read_to_string(host.path(path)).with_context(|| format!("reading {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        fs::create_dir_all(tree.path().join("proc/sys/kernel")).unwrap();
        assert!(memory(&host).is_err() && processes(&host).is_err());
        let write = |path: &str, text: &str| fs::write(host.path(path), text).unwrap();
        write("/proc/meminfo", "MemTotal:        2048 kB\nMemFree: 1 kB\nMemAvailable:    1024 kB\n");
        assert_eq!(memory(&host).unwrap(), Memory { total_bytes: 2 << 20, available_bytes: 1 << 20 });
        write("/proc/sys/kernel/pid_max", "32768\n");
        write("/proc/loadavg", "0.20 0.18 0.12 1/80 11206\n");
        assert_eq!(processes(&host).unwrap(), Processes { max: 32768, used: 80 });
        write("/proc/loadavg", "0.20\n");
        assert!(processes(&host).is_err());
        assert!(processors().unwrap() > 0);
        assert!(own(&Host::default()).unwrap().resident_bytes > 0);
    }
}
