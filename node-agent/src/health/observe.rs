//! Looks at the node's health: systemd's units, and on trial also the network, the operator's checks, and the trial itself.

use std::{fs, io::ErrorKind, time::Duration};

use anyhow::{Context, Result};

use super::{
    gate::HealthGate,
    model::{Observed, Trial, UNTIL},
};
use crate::clients::{esp, host::Host, initramfs, network, proc, systemd::Systemd};

/// systemd has started all that a boot starts.
const BOOTED: &str = "multi-user.target";

/// Looks at the node's health; what went wrong in looking is reported beside it.
pub async fn observe(
    host: &Host,
    systemd: Option<&Systemd>,
    gate: &mut HealthGate,
    wants_network: bool,
) -> (Observed, Vec<anyhow::Error>) {
    let mut errors = Vec::new();
    let mut observed = Observed::default();
    if let Some(systemd) = systemd {
        observed.failed_units = systemd.failed_units().await.map_err(|error| errors.push(error)).ok();
    }
    match gate.checks.observe(host).await {
        Ok(checks) => observed.checks = checks,
        Err(error) => errors.push(error),
    }
    match trial(host, gate).await {
        Ok(trial) => observed.trial = trial,
        Err(error) => errors.push(error),
    }
    if let Some(trial) = &mut observed.trial {
        // One request that systemd leaves unanswered is enough in a pass: the watchdog waits for its end.
        if let (Some(systemd), Some(_)) = (systemd, &observed.failed_units) {
            ask_systemd(trial, systemd).await.unwrap_or_else(|error| errors.push(error));
        }
        if wants_network {
            trial.network_problem = network::source_address().err().map(|error| format!("no network: {error:#}"));
        }
    }
    (observed, errors)
}

async fn ask_systemd(trial: &mut Trial, systemd: &Systemd) -> Result<()> {
    trial.is_booted = Some(systemd.active_state(BOOTED).await? == "active");
    trial.restarting_units = systemd.restarting_units().await?;
    Ok(())
}

async fn trial(host: &Host, gate: &mut HealthGate) -> Result<Option<Trial>> {
    let Some(entry) = gate.counted_entry(host).await? else { return Ok(None) };
    let on_esp = move |host: &Host| {
        let esp = host.path(esp::MOUNT_POINT);
        Ok((esp.join("loader").is_dir(), esp.join(entry.trim_start_matches('/')).exists()))
    };
    let (has_esp, is_counted) = host.read("looking for the boot entry on trial", on_esp).await?;
    // Blessed meanwhile, by whomever: its name has no counter any more.
    if has_esp && !is_counted {
        return Ok(None);
    }
    Ok(Some(Trial {
        uptime: Duration::from_micros(proc::cpu_time(host)?.uptime_us),
        until: until(host)?,
        has_esp,
        is_booted: None,
        restarting_units: Vec::new(),
        network_problem: None,
        var_problem: initramfs::is_var_in_memory(host).then(|| "/var is in memory: it could not be mounted".to_owned()),
        steady: gate.steady,
        blessing: gate.blessing().await,
    }))
}

fn until(host: &Host) -> Result<Option<Duration>> {
    match fs::read_to_string(host.path(UNTIL)) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        // What is no number is decided anew.
        text => {
            let secs = text.with_context(|| format!("reading {UNTIL}"))?.trim().parse::<u64>();
            Ok(secs.ok().map(Duration::from_secs))
        }
    }
}
