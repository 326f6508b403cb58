//! What the agent remembers of the trial from one pass to the next, and the work on it that still runs.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::{sync::Notify, task::JoinHandle};

use super::{
    checks::Checks,
    model::{Blessing, Steady},
};
use crate::clients::{efi, esp, host::Host};

/// A blessing that failed is tried again: the disk or a unit may have been busy.
const BLESS_AGAIN: Duration = Duration::from_secs(10);

/// systemd takes the order at once; stopping all units may take it a minute.
const REBOOT_AGAIN: Duration = Duration::from_secs(120);

/// Decides whether the release that runs is good. Its work ends when it is dropped.
#[derive(Debug)]
pub struct HealthGate {
    pub(super) esp: esp::EspLock,
    pub(super) changed: Arc<Notify>,
    pub(super) checks: Checks,
    /// What systemd-boot counted, once it was asked.
    entry: Option<Option<String>>,
    pub(super) steady: Option<Steady>,
    pub(super) progress: Progress,
    pub(super) rebooting: Option<Instant>,
}

#[derive(Debug)]
pub(super) enum Progress {
    New,
    Working(JoinHandle<Result<()>>),
    Done,
    Failed { reason: String, at: Instant },
}

impl HealthGate {
    /// Has decided nothing yet; the end of what it does wakes `changed`. Blessing writes to the ESP, when it is its turn.
    pub fn new(esp: esp::EspLock, changed: Arc<Notify>) -> Self {
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

    /// Whether a reboot was ordered and should come: what is seen by then is a system that goes down.
    pub fn is_rebooting(&self) -> bool {
        self.rebooting.is_some_and(|at| at.elapsed() < REBOOT_AGAIN)
    }

    /// What systemd-boot counted: asked once, it does not change.
    pub(super) async fn counted_entry(&mut self, host: &Host) -> Result<Option<String>> {
        match &self.entry {
            Some(entry) => Ok(entry.clone()),
            // The firmware may take its time for it.
            None => Ok(self.entry.insert(host.read("asking the firmware", efi::counted_entry).await?).clone()),
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
}

impl Drop for HealthGate {
    fn drop(&mut self) {
        if let Progress::Working(task) = &self.progress {
            task.abort();
        }
    }
}
