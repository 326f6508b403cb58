//! Carries the verdict out: notes when the trial ends, runs the checks, blesses, reboots.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::{sync::Notify, task::JoinHandle};

use super::{
    checks::Checks,
    model::{Blessing, Observed, Steady, Verdict},
    observe, plan,
};
use crate::clients::{
    efi, esp,
    host::Host,
    systemd::{Systemd, systemctl_reboot},
};

/// Takes the counter off the boot entry, once boot-complete.target is reached (systemd-bless-boot.service(8)).
const BLESS: &str = "systemd-bless-boot.service";

/// Blessing itself takes moments; operators' units before boot-complete.target get what is left of the trial, at least this.
const BLESS_TIME: Duration = Duration::from_secs(60);

/// A blessing that failed is tried again: the disk or a unit may have been busy.
const BLESS_AGAIN: Duration = Duration::from_secs(10);

/// systemd takes the order at once; stopping all units may take it a minute.
const REBOOT_AGAIN: Duration = Duration::from_secs(120);

/// Judges the release that runs. Its work ends when it is dropped.
#[derive(Debug)]
pub struct Judge {
    esp: esp::Turns,
    changed: Arc<Notify>,
    pub(super) checks: Checks,
    /// What systemd-boot counted, once it was asked.
    entry: Option<Option<String>>,
    pub(super) steady: Option<Steady>,
    progress: Progress,
    rebooting: Option<Instant>,
}

#[derive(Debug)]
enum Progress {
    New,
    Working(JoinHandle<Result<()>>),
    Done,
    Failed { reason: String, at: Instant },
}

impl Judge {
    /// Has judged nothing yet; the end of what it does wakes `changed`. Blessing writes to the ESP, when it is its turn.
    pub fn new(esp: esp::Turns, changed: Arc<Notify>) -> Self {
        Self {
            esp,
            checks: Checks::new(Arc::clone(&changed)),
            changed,
            entry: None,
            steady: None,
            progress: Progress::New,
            rebooting: None,
        }
    }

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
            Verdict::Bad { reason } => return self.reboot(reason, host, systemd).await,
        }
        let folder = host.path(observe::CHECKS);
        for check in plan::due_checks(observed) {
            self.checks.start(check, &folder);
        }
        Ok(())
    }

    /// Whether a reboot was ordered and should come: what is seen by then is a system that goes down.
    pub fn is_rebooting(&self) -> bool {
        self.rebooting.is_some_and(|at| at.elapsed() < REBOOT_AGAIN)
    }

    /// What systemd-boot counted: asked once, it does not change.
    pub(super) fn counted_entry(&mut self, host: &Host) -> Result<Option<String>> {
        match &self.entry {
            Some(entry) => Ok(entry.clone()),
            None => Ok(self.entry.insert(efi::counted_entry(host)?).clone()),
        }
    }

    /// How far the blessing is.
    pub(super) async fn blessing(&mut self) -> Blessing {
        if let Progress::Working(task) = &mut self.progress {
            if !task.is_finished() {
                return Blessing::Running;
            }
            let result = task.await.context("its task ended").and_then(|result| result);
            self.progress = match result {
                Ok(()) => {
                    log::info!("this release is good: its boot entry is blessed");
                    Progress::Done
                }
                Err(error) => {
                    log::error!("blessing the boot entry: {error:#}");
                    Progress::Failed { reason: format!("{error:#}"), at: Instant::now() }
                }
            };
        }
        match &self.progress {
            Progress::New => Blessing::New,
            Progress::Working(_) => Blessing::Running,
            Progress::Done => Blessing::Done,
            Progress::Failed { reason, at } => {
                Blessing::Failed { reason: reason.clone(), is_due: at.elapsed() >= BLESS_AGAIN }
            }
        }
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
            let _turn = esp.take().await;
            let result = systemd.start_and_wait(BLESS, time).await;
            changed.notify_one();
            result
        }));
    }

    async fn reboot(&mut self, reason: &str, host: &Host, systemd: Option<&Systemd>) -> Result<()> {
        log::error!("this release is bad: {reason}; rebooting");
        reboot(host, systemd).await?;
        self.rebooting = Some(Instant::now());
        Ok(())
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        if let Progress::Working(task) = &self.progress {
            task.abort();
        }
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

/// By rename: trial-watch.service may read it at any time.
fn write_until(host: &Host, until: Duration) -> Result<()> {
    let path = host.path(observe::UNTIL);
    let draft = path.with_extension("draft");
    let written = fs::write(&draft, format!("{}\n", until.as_secs())).and_then(|()| fs::rename(&draft, &path));
    written.with_context(|| format!("writing {}", observe::UNTIL))
}
