//! Where this boot's time went: /init's own record, and the clock at READY.

use std::fs;

use anyhow::{Context, Result};
pub use ballast_types::status::{Boot, Cpu, InitStep};
use serde::Deserialize;

use crate::clients::{
    cgroup,
    host::Host,
    initramfs::RECORD as INITRAMFS_RECORD,
    proc::{self, CpuTime},
};

/// Where the agent keeps the figures of this boot, so that it reports the same after a restart.
const BOOT_RECORD: &str = "/run/ballast/boot.json";

/// What /init left, reduced to what is used here.
#[derive(Debug, Deserialize)]
struct InitRecord {
    steps: Vec<InitStep>,
    start: Moment,
    end: Moment,
    /// What process 1 had used when /init became systemd.
    cpu_us: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Moment {
    uptime_us: u64,
    busy_us: u64,
}

/// The figures of a boot that is READY just now.
///
/// # Errors
/// If the kernel's clock cannot be read, or /init's record is damaged. That it is missing is no error.
pub fn measure(host: &Host) -> Result<Boot> {
    let ready = proc::cpu_time(host)?;
    let first_process_us = proc::process_cpu_us(host, 1)?;
    let record = match fs::read_to_string(host.path(INITRAMFS_RECORD)) {
        Ok(text) => Some(serde_json::from_str(&text).with_context(|| format!("reading {INITRAMFS_RECORD}"))?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("reading {INITRAMFS_RECORD}")),
    };
    Ok(figures(ready, record, first_process_us))
}

/// Adds the services' CPU time so far: to be asked for at READY, before systemd lets the rest of the boot go.
///
/// # Errors
/// If the kernel's account cannot be read.
pub fn record(host: &Host, boot: &mut Boot) -> Result<()> {
    let services = cgroup::services_cpu_us(host)?;
    boot.cpu.extend(services.into_iter().map(|(name, cpu_us)| Cpu { name, cpu_us }));
    Ok(())
}

fn figures(ready: CpuTime, record: Option<InitRecord>, first_process_us: Option<u64>) -> Boot {
    let known = Boot { ready_ms: Some(ready.uptime_us / 1000), busy_ms: Some(ready.busy_us / 1000), ..Boot::default() };
    let Some(InitRecord { steps, start, end, cpu_us: init_us }) = record else { return known };
    let systemd_us = first_process_us.zip(init_us).map(|(all, init)| all.saturating_sub(init));
    let parts = [
        ("kernel", Some(start.busy_us)),
        ("/init", Some(end.busy_us.saturating_sub(start.busy_us))),
        ("systemd", systemd_us),
    ];
    let cpu = parts.into_iter().filter_map(|(name, cpu_us)| Some(Cpu { name: name.to_owned(), cpu_us: cpu_us? }));
    Boot {
        kernel_ms: Some(start.uptime_us / 1000),
        initramfs_ms: Some(end.uptime_us.saturating_sub(start.uptime_us) / 1000),
        userspace_ms: Some(ready.uptime_us.saturating_sub(end.uptime_us) / 1000),
        steps,
        cpu: cpu.collect(),
        ..known
    }
}

/// The figures that an earlier run of the agent left in this boot.
pub fn recall(host: &Host) -> Option<Boot> {
    let text = fs::read_to_string(host.path(BOOT_RECORD)).ok()?;
    serde_json::from_str(&text).ok()
}

/// Leaves the figures for later runs of the agent in this boot.
///
/// # Errors
/// If the file cannot be written.
pub fn remember(host: &Host, boot: &Boot) -> Result<()> {
    let text = serde_json::to_vec(boot).context("encoding the boot figures")?;
    fs::write(host.path(BOOT_RECORD), text).with_context(|| format!("writing {BOOT_RECORD}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::ready_line::ready_line;

    const READY: CpuTime = CpuTime { uptime_us: 4_310_000, busy_us: 4_160_000 };

    #[test]
    fn the_line_splits_the_boot() {
        let record = r#"{"steps":[{"name":"root","start_us":1470100,"end_us":1500000}],
            "start":{"uptime_us":1470000,"busy_us":1400000}, "end":{"uptime_us":1560000,"busy_us":1450000},
            "cpu_us":1300000, "verity":true}"#;
        let boot = figures(READY, Some(serde_json::from_str(record).unwrap()), Some(2_000_000));
        assert_eq!(boot.steps.len(), 1);
        let cpu: Vec<_> = boot.cpu.iter().map(|one| (one.name.as_str(), one.cpu_us)).collect();
        assert_eq!(cpu, [("kernel", 1_400_000), ("/init", 50_000), ("systemd", 700_000)]);
        assert_eq!(
            ready_line("20261121.1", &boot),
            "ballast 20261121.1: READY in 4.310 s (kernel 1.470 s, initramfs 0.090 s, userspace 2.750 s; busy 4.160 s)"
        );
    }

    #[test]
    fn without_a_record_of_init_nothing_is_invented() {
        let boot = figures(READY, None, Some(1));
        assert_eq!(boot, Boot { ready_ms: Some(4310), busy_ms: Some(4160), ..Boot::default() });
        assert_eq!(
            ready_line("x", &boot),
            "ballast x: READY in 4.310 s (kernel ?, initramfs ?, userspace ?; busy 4.160 s)"
        );
    }
}
