//! Reloads or restarts units, so that they read their files again.

use std::time::Duration;

use anyhow::{Result, bail};

use crate::clients::systemd::Systemd;
use crate::settings::model::PendingActions;

/// A unit ends and starts within seconds; on a slow machine, with much to do, within this.
const DEADLINE: Duration = Duration::from_secs(60);

/// Reloads and restarts what `pending` names, as far as it runs: what does not will read its files when it starts.
///
/// # Errors
/// One sentence for all that did not work out; each is tried.
pub(super) async fn refresh(systemd: Option<&Systemd>, pending: &PendingActions) -> Result<()> {
    let PendingActions { hostname: _, reload, restart } = pending;
    if reload.is_empty() && restart.is_empty() {
        return Ok(());
    }
    let Some(systemd) = systemd else {
        let units: Vec<&str> = reload.iter().chain(restart).map(String::as_str).collect();
        bail!("systemd cannot be asked, so {} go by the old settings until they are restarted", units.join(", "));
    };
    let mut failures = Vec::new();
    for unit in reload {
        log::info!("reloading {unit}: its settings are different");
        failures.extend(systemd.reload_if_it_runs(unit, DEADLINE).await.err());
    }
    for unit in restart {
        log::info!("restarting {unit}: its settings are different");
        failures.extend(systemd.restart_if_it_runs(unit, DEADLINE).await.err());
    }
    let failures: Vec<String> = failures.iter().map(|error| format!("{error:#}")).collect();
    if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("; ")) }
}
