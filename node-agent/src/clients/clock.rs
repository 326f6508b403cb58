//! The clock: since when this boot runs by it, and whether anybody has set it.

use std::{
    fs,
    io::ErrorKind,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};

use super::host::Host;

/// systemd-timesyncd makes this file once it has the time from a server.
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";

/// The machine's own clock, in seconds since 1970 (Documentation/ABI/testing/rtc-cdev, sysfs-class-rtc).
const MACHINE_CLOCK: &str = "/sys/class/rtc/rtc0/since_epoch";

/// When this boot began by the clock as it was first read, in seconds since 1970; gone with the boot.
const FIRST_READING: &str = "/run/ballast/clock";

/// The kernel took the time from the machine's clock; by so much the two may differ since.
const DRIFT_SECS: u64 = 3600;

/// Who sets the clock by hand moves it by more than this.
const MOVED_SECS: u64 = 60;

/// Time since the kernel started, by a clock that is never set and counts what the machine slept.
pub fn uptime() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// When this boot began, by the clock as it is now: setting the clock moves it.
///
/// # Errors
/// If /proc/stat does not say it.
pub fn booted_at(host: &Host) -> Result<SystemTime> {
    Ok(UNIX_EPOCH + Duration::from_secs(booted_at_secs(host)?))
}

/// Whether systemd-timesyncd has the time from a server, in this boot.
pub fn is_set_by_timesyncd(host: &Host) -> bool {
    host.path(SYNCHRONIZED).exists()
}

/// Whether the clock was set, by a time server, by the machine's own clock or by hand: certificates can be checked by it.
///
/// PID 1 sets a clock that stands before its own build to that (systemd(1)); what is ahead of the machine's clock was made up.
///
/// # Errors
/// If the kernel does not say when the boot began, or what was read first cannot be kept.
pub fn check(host: &Host, now: SystemTime) -> Result<bool> {
    let booted_at = booted_at_secs(host)?;
    let first = first_reading(host, booted_at)?;
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // A machine without a clock waits for a time server.
    let machine = fs::read_to_string(host.path(MACHINE_CLOCK)).ok().and_then(|text| text.trim().parse::<u64>().ok());
    Ok(is_set_by_timesyncd(host)
        || machine.is_some_and(|machine| machine.abs_diff(now) <= DRIFT_SECS)
        || first.abs_diff(booted_at) > MOVED_SECS)
}

fn first_reading(host: &Host, booted_at: u64) -> Result<u64> {
    let path = host.path(FIRST_READING);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().parse().unwrap_or(booted_at)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::write(&path, booted_at.to_string()).with_context(|| format!("writing {}", path.display()))?;
            Ok(booted_at)
        }
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

fn booted_at_secs(host: &Host) -> Result<u64> {
    let text = fs::read_to_string(host.path("/proc/stat")).context("reading /proc/stat")?;
    let secs = text.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok());
    secs.context("reading /proc/stat: it has no btime")
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEN: u64 = 1_800_000_000;

    /// A machine whose clock says `machine`, and whose boot began at `booted`.
    fn host(tree: &tempfile::TempDir, machine: Option<u64>, booted: u64) -> Host {
        for folder in ["proc", "run/ballast", "run/systemd/timesync", "sys/class/rtc/rtc0"] {
            fs::create_dir_all(tree.path().join(folder)).unwrap();
        }
        let host = Host::new(tree.path());
        let _ = fs::remove_file(host.path(MACHINE_CLOCK));
        if let Some(machine) = machine {
            fs::write(host.path(MACHINE_CLOCK), format!("{machine}\n")).unwrap();
        }
        fs::write(host.path("/proc/stat"), format!("cpu 1\nbtime {booted}\n")).unwrap();
        host
    }

    #[test]
    fn a_clock_is_believed_that_is_the_machines() {
        for (machine, expected) in [(Some(THEN), true), (Some(THEN - 5), true), (Some(20), false), (None, false)] {
            let tree = tempfile::tempdir().unwrap();
            let host = host(&tree, machine, THEN - 30);
            assert_eq!(check(&host, at(THEN)).unwrap(), expected, "{machine:?}");
            fs::write(host.path(SYNCHRONIZED), "").unwrap();
            assert!(check(&host, at(THEN)).unwrap(), "{machine:?}");
        }
    }

    #[test]
    fn a_clock_that_was_set_by_hand_is_believed() {
        let tree = tempfile::tempdir().unwrap();
        assert!(!check(&host(&tree, Some(20), THEN - 30), at(THEN)).unwrap());
        assert!(check(&host(&tree, Some(20), THEN + 5000), at(THEN + 5030)).unwrap());
        assert_eq!(booted_at(&host(&tree, None, 7)).unwrap(), at(7));
        assert!(check(&Host::new("/nowhere"), at(0)).is_err());
    }

    fn at(secs: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(secs)
    }
}
