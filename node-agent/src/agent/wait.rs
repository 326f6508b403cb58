//! When the loop looks again if nothing happens.

use std::time::{Duration, SystemTime};

use super::{Agent, Observed, Plan, RUNTIME_TIMEOUT, kubelet};
use crate::{
    health,
    report::notify::Notifier,
    runtime::model::{Health, PROBE_AGAIN, PROBE_EVERY},
};

/// If the runtime does not report changes to containers, they are looked for this often.
const RELIST: Duration = Duration::from_secs(3);

impl Agent {
    /// How long to wait for an event before the next pass.
    pub(super) fn wait(&mut self, observed: &Observed, plan: &Plan) -> Duration {
        let mut wait = match observed.runtime.health {
            // It is still on its way; its socket will report.
            _ if self.boot.is_none() && observed.systemd.is_none() => RUNTIME_TIMEOUT,
            Health::Ready | Health::NotReady { .. } => PROBE_EVERY,
            Health::Down { .. } | Health::Silent => PROBE_AGAIN,
        };
        if let Some(watchdog) = Notifier::watchdog_every() {
            wait = wait.min(watchdog);
        }
        if let Some(at) = plan.pods.as_ref().and_then(|pods| pods.wake_at) {
            wait = wait.min(at.duration_since(SystemTime::now()).unwrap_or_default());
        }
        if let health::model::Verdict::Settles { left, .. } = plan.health {
            wait = wait.min(left);
        }
        wait = wait.min(self.settings.due_in().unwrap_or(wait));
        wait = wait.min(self.power.due_in().unwrap_or(wait));
        wait = wait.min(observed.kubelet.as_ref().map_or(wait, kubelet::Observation::wait));
        if observed.pods.is_some() && !self.runtime.reports_changes() {
            wait = wait.min(RELIST);
        }
        if self.boot.is_none() && matches!(observed.runtime.health, Health::NotReady { .. }) {
            wait = wait.min(self.retry);
            self.retry = self.retry.saturating_mul(2);
        }
        wait
    }
}
