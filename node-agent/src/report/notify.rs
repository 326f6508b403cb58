//! Notifications to systemd: READY, STATUS, WATCHDOG (sd_notify(3)).

use std::time::Duration;

use sd_notify::NotifyState;

/// systemd as the listener of one service.
#[derive(Debug, Default)]
pub struct Notifier {
    ready_sent: bool,
    status: String,
}

impl Notifier {
    /// How often systemd wants to hear that the loop turns: half of its timeout, as sd_watchdog_enabled(3) advises.
    pub fn watchdog_every() -> Option<Duration> {
        sd_notify::watchdog_enabled().map(|timeout| timeout / 2)
    }

    /// Says that the loop turns.
    pub fn alive() {
        send(&[NotifyState::Watchdog]);
    }

    /// Says once that the service is up.
    pub fn ready(&mut self) {
        if !self.ready_sent {
            self.ready_sent = true;
            send(&[NotifyState::Ready]);
        }
    }

    /// Says how the service is, if that changed.
    pub fn status(&mut self, status: &str) {
        if self.status != status {
            status.clone_into(&mut self.status);
            send(&[NotifyState::Status(status)]);
        }
    }

    /// Says that the service ends as asked.
    pub fn stopping(&self) {
        send(&[NotifyState::Stopping]);
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        log::warn!("notifying systemd: {error}");
    }
}
