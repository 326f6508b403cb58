//! The clock: since when this boot runs by it, and whether anybody has set it.

use std::{
    fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};

use super::host::Host;

/// systemd-timesyncd makes this file once it has the time from a server.
const SYNCHRONIZED: &str = "/run/systemd/timesync/synchronized";

/// Files whose age is the earliest time that is believed: PID 1 sets a clock that is behind the first (systemd(1)), timesyncd one that is
/// behind the second, the time at which it last knew better.
const EPOCHS: [&str; 2] = ["/usr/lib/clock-epoch", "/var/lib/systemd/timesync/clock"];

/// When this boot began, by the clock as it is now: setting the clock moves it.
///
/// # Errors
/// If /proc/stat does not tell it.
pub fn booted_at(host: &Host) -> Result<SystemTime> {
    let text = fs::read_to_string(host.path("/proc/stat")).context("reading /proc/stat")?;
    let secs = text.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok());
    Ok(UNIX_EPOCH + Duration::from_secs(secs.context("reading /proc/stat: it has no btime")?))
}

/// Whether the clock was set, by a server or by the machine's own clock: certificates can be judged by it.
///
/// A machine's clock that is far behind is set to one of [`EPOCHS`] soon after the boot began, so by it the boot began before that.
///
/// # Errors
/// If the kernel does not tell when the boot began.
pub fn is_set(host: &Host) -> Result<bool> {
    if host.path(SYNCHRONIZED).exists() {
        return Ok(true);
    }
    let booted_at = booted_at(host)?;
    let epochs = EPOCHS.iter().filter_map(|file| fs::metadata(host.path(file)).ok()?.modified().ok());
    Ok(epochs.max().is_none_or(|epoch| booted_at > epoch))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn at(secs: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(secs)
    }

    #[test]
    fn a_clock_that_stands_at_an_epoch_is_not_set() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        for folder in ["proc", "usr/lib", "run/systemd/timesync", "var/lib/systemd/timesync"] {
            fs::create_dir_all(tree.path().join(folder)).unwrap();
        }
        assert!(is_set(&host).is_err());
        let booted = |secs: u64| fs::write(host.path("/proc/stat"), format!("cpu 1\nbtime {secs}\n")).unwrap();
        let touch = |file: &str, secs| File::create(host.path(file)).unwrap().set_modified(at(secs)).unwrap();
        booted(7);
        assert_eq!(booted_at(&host).unwrap(), at(7));
        assert!(is_set(&host).unwrap());
        touch(EPOCHS[0], 1000);
        for (secs, expected) in [(0, false), (998, false), (1000, false), (1001, true)] {
            booted(secs);
            assert_eq!(is_set(&host).unwrap(), expected, "{secs}");
        }
        touch(EPOCHS[1], 2000);
        assert!(!is_set(&host).unwrap());
        touch(SYNCHRONIZED, 0);
        assert!(is_set(&host).unwrap());
    }
}
