//! Carries the verdict out: notes when the trial ends, runs the checks, blesses, reboots.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{
    gate::{HealthGate, Progress},
    model::{KEEP_BOOTED, Observed, UNTIL, Verdict},
    plan,
};
use crate::clients::{
    host::Host,
    store,
    systemd::{Systemd, systemctl_reboot},
};

/// Takes the counter off the boot entry, once boot-complete.target is reached (systemd-bless-boot.service(8)).
const BLESS: &str = "systemd-bless-boot.service";

/// Blessing itself takes moments; operators' units before boot-complete.target get what is left of the trial, at least this.
const BLESS_TIME: Duration = Duration::from_secs(60);

impl HealthGate {
    /// Carries `verdict` on `observed` out. It may be called on each pass, but not while the node [goes down](Self::is_rebooting).
    ///
    /// # Errors
    /// If something could not be begun; the next pass tries again.
    pub async fn act(
        &mut self,
        verdict: &Verdict,
        observed: &Observed,
        host: &Host,
        systemd: Option<&Systemd>,
    ) -> Result<()> {
        self.steady = if let Verdict::Settles { steady, .. } = verdict { Some(*steady) } else { None };
        match verdict {
            Verdict::NotOnTrial => return Ok(()),
            Verdict::Begins { until } => {
                log::info!("this release is on trial until {} s after the kernel's start", until.as_secs());
                write_until(host, *until)?;
            }
            Verdict::Waiting { for_what } => log::debug!("on trial: {for_what}"),
            Verdict::Settles { left, .. } => {
                log::debug!("on trial: healthy, and watched for {} ms more", left.as_millis());
            }
            Verdict::Good => self.bless(observed, systemd),
            Verdict::Failed { reason } => return self.reboot(reason, host, systemd).await,
        }
        for check in plan::due_checks(observed) {
            self.checks.start(check, host);
        }
        Ok(())
    }

    fn bless(&mut self, observed: &Observed, systemd: Option<&Systemd>) {
        let (Some(systemd), Some(trial)) = (systemd, &observed.trial) else { return };
        if !matches!(self.progress, Progress::New | Progress::Failed { .. }) {
            return;
        }
        let left = trial.until.unwrap_or_default().saturating_sub(trial.uptime);
        let (systemd, esp, changed, time) =
            (systemd.clone(), self.esp.clone(), Arc::clone(&self.changed), left.max(BLESS_TIME));
        self.progress = Progress::Working(tokio::spawn(async move {
            let _guard = esp.take().await;
            let result = systemd.start_and_wait(BLESS, time).await;
            changed.notify_one();
            result
        }));
    }

    async fn reboot(&mut self, reason: &str, host: &Host, systemd: Option<&Systemd>) -> Result<()> {
        log::error!("this release failed: {reason}; rebooting");
        reboot(host, systemd).await?;
        self.rebooting = Some(Instant::now());
        Ok(())
    }
}

/// Has systemd stop all units and reboot: over the bus, or, if that is what is broken, through systemctl, which needs none.
///
/// # Errors
/// If neither way is open.
async fn reboot(host: &Host, systemd: Option<&Systemd>) -> Result<()> {
    let Some(systemd) = systemd else { return systemctl_reboot(host).await };
    let Err(error) = systemd.reboot().await else { return Ok(()) };
    match systemctl_reboot(host).await {
        Ok(()) => Ok(()),
        Err(other) => bail!("{error:#}; {other:#}"),
    }
}

/// Marks for trial-watch.service that this boot is kept although it is bad: a reboot would only end in the same release.
///
/// # Errors
/// If that cannot be written; the watch then reboots the node.
pub fn keep_booted(host: &Host) -> Result<()> {
    let path = host.path(KEEP_BOOTED);
    if path.exists() {
        return Ok(());
    }
    fs::write(&path, "").with_context(|| format!("writing {KEEP_BOOTED}"))
}

/// By rename: trial-watch.service may read it at any time.
fn write_until(host: &Host, until: Duration) -> Result<()> {
    let path = host.path(UNTIL);
    let draft = path.with_extension("draft");
    let text = format!("{}\n", until.as_secs());
    store::replace(&path, &draft, 0o644, text.as_bytes()).with_context(|| format!("writing {UNTIL}"))
}
