//! What the kernel's control groups account for: the CPU time of each service (cgroup-v2.rst, cpu.stat).

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

fn usage_us(stat: &str) -> Option<u64> {
    stat.lines().find_map(|line| line.strip_prefix("usage_usec ")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

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
