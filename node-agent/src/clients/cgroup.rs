//! The kernel's control groups: the CPU time of each service, and the limits of pods (cgroup-v2.rst).

use std::{fs, io::ErrorKind};

use anyhow::{Context, Result};

use super::host::Host;

/// Where systemd keeps the groups of system services, one folder each under the unit's name.
const SERVICES: &str = "/sys/fs/cgroup/system.slice";

/// Microseconds of CPU time of each service that has a group now, by name, sorted. A service that ended has none.
///
/// # Errors
/// If the groups cannot be listed. That there are none is no error.
pub fn services_cpu_us(host: &Host) -> Result<Vec<(String, u64)>> {
    let entries = match fs::read_dir(host.path(SERVICES)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("reading {SERVICES}"))?,
    };
    let mut services = Vec::new();
    for entry in entries {
        let entry = entry.with_context(|| format!("reading {SERVICES}"))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.ends_with(".service") {
            continue;
        }
        // A service may end, and its group go, between the two reads.
        let stat = fs::read_to_string(entry.path().join("cpu.stat")).unwrap_or_default();
        if let Some(cpu_us) = usage_us(&stat) {
            services.push((name, cpu_us));
        }
    }
    services.sort();
    Ok(services)
}

/// Where all groups are.
const ROOT: &str = "/sys/fs/cgroup";

/// Writes the limits `files` of the group `group`. Who put something into it has made it; a runtime that puts it elsewhere has its reasons.
///
/// # Errors
/// If the kernel does not take one.
pub fn limit(host: &Host, group: &str, files: &[(&str, String)]) -> Result<()> {
    let folder = host.path(format!("{ROOT}{group}"));
    if !folder.exists() {
        log::debug!("there is no control group {group} to limit");
        return Ok(());
    }
    for (file, value) in files {
        fs::write(folder.join(file), value).with_context(|| format!("writing {file} of the control group {group}"))?;
    }
    Ok(())
}

/// Removes the group `group`, in which nothing runs any more.
///
/// # Errors
/// If something does.
pub fn remove(host: &Host, group: &str) -> Result<()> {
    match fs::remove_dir(host.path(format!("{ROOT}{group}"))) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.with_context(|| format!("removing the control group {group}")),
    }
}

fn usage_us(stat: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix("usage_usec ")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_is_there_is_limited_and_removed() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        let limits = [("memory.max", "1048576".to_owned())];
        limit(&host, "/pods/a", &limits).unwrap();
        let folder = host.path(format!("{ROOT}/pods/a"));
        assert!(!folder.exists());
        fs::create_dir_all(&folder).unwrap();
        limit(&host, "/pods/a", &limits).unwrap();
        assert_eq!(fs::read_to_string(folder.join("memory.max")).unwrap(), "1048576");
        // As of a group in which something runs.
        assert!(remove(&host, "/pods/a").is_err());
        fs::remove_file(folder.join("memory.max")).unwrap();
        remove(&host, "/pods/a").unwrap();
        remove(&host, "/pods/a").unwrap();
    }

    #[test]
    fn services_are_read_and_other_groups_are_not() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        assert_eq!(services_cpu_us(&host).unwrap(), []);
        for (group, stat) in [
            ("b.service", "usage_usec 250000\nuser_usec 200000\n"),
            ("a.service", "usage_usec 7\n"),
            ("gone.service", "usage_usec\n"),
            ("tmp.mount", "usage_usec 5\n"),
        ] {
            let folder = host.path(SERVICES).join(group);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("cpu.stat"), stat).unwrap();
        }
        assert_eq!(services_cpu_us(&host).unwrap(), [("a.service".into(), 7), ("b.service".into(), 250_000)]);
    }
}
