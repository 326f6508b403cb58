//! What the loop needs to know for upgrades: the settings, what they allow, and whether a bad release may be left.

use std::time::{Duration, SystemTime};

use super::{Agent, Observed, Plan, unix_secs};
use crate::{
    clients::clock,
    health::{self, model::Verdict},
    report::socket::Asked,
    settings::model::Settings,
    update::{
        self,
        model::{Event, FailedRelease, Failure, FailureKind, Unattended},
        plan::gate::{Gate, gate},
    },
};

/// How long a registry may send nothing before it is asked again, and how often it may fail in a row.
const REGISTRY_IDLE: Duration = Duration::from_secs(30);
const REGISTRY_ATTEMPTS: u32 = 5;

/// How long resolving or fetching may take in all: 75 MB come within it at 25 kB/s.
const FETCH_TOTAL: Duration = Duration::from_secs(3600);

/// A time server is asked as soon as there is a network, and answers within seconds.
const CLOCK_TIMEOUT: Duration = Duration::from_secs(300);

impl Agent {
    /// What the settings allow to be done without being asked.
    pub(super) fn unattended(&mut self, settings: &Settings, now: SystemTime) -> Unattended {
        let settings = &settings.update;
        let now = (settings.auto && settings.windows.is_some()).then(|| self.set_clock(now)).flatten();
        Unattended {
            is_on: settings.auto,
            // Somebody asked to go down, perhaps to stay down: that is what happens.
            reboots: settings.reboot && self.power.is_up(),
            is_open: settings.auto && matches!(gate(settings.windows.as_deref(), now), Gate::Open { .. }),
            is_due: self.update.is_due(),
        }
    }

    /// The time, if somebody has set the clock. A node waits for that in each boot; that it waits long is reported.
    fn set_clock(&mut self, now: SystemTime) -> Option<SystemTime> {
        let is_set = self.warnings.note(clock::check(&self.host, now)).unwrap_or(false);
        if !is_set && self.started.elapsed() >= CLOCK_TIMEOUT {
            self.warnings.report(
                "update.window: the clock is not set, so the node neither upgrades nor reboots by itself; see that time.servers can be reached"
                    .to_owned(),
            );
        }
        is_set.then_some(now)
    }

    /// What operations go by.
    pub(super) fn update_settings(&self, settings: &Settings) -> update::act::Settings {
        update::act::Settings {
            os_id: self.os.id.clone(),
            update: settings.update.clone(),
            arguments: arguments(settings),
            proxy: settings.network.proxy.clone(),
            idle: REGISTRY_IDLE,
            attempts: REGISTRY_ATTEMPTS,
            total: FETCH_TOTAL,
        }
    }

    /// Does what the releases call for by themselves, then what was asked for. Nothing is begun before the releases are looked at, the boot
    /// entries can be seen and what they say of a failed release is written down: collecting would take last good releases for surplus, and
    /// the proof of a bad one with it.
    pub(super) async fn act_on_releases(&mut self, observed: &Observed, plan: &Plan) {
        let settings = self.update_settings(observed.settings());
        let mut is_seen = observed.settings.is_some();
        if let Some(step) = &plan.update {
            let comes_first = self.update.comes_first(step);
            let done = self.update.act(step, &settings).await;
            let is_done = self.warnings.note(done).is_some();
            if comes_first && is_done {
                is_seen = false;
                if !matches!(step, update::model::Step::MountEsp { .. }) {
                    // The next pass sees what came of it. That of mounting wakes the loop by itself.
                    self.changed.notify_one();
                }
            }
        }
        while is_seen && let Ok(Asked { command, client }) = self.asked.try_recv() {
            if self.power.is_ending() {
                let message = "the node goes down; ask again after its boot".to_owned();
                // Who asked may be gone already.
                let _ = client.try_send(Event::Failed(Failure { kind: FailureKind::Busy, message }));
                continue;
            }
            self.update.ask(command, client, &settings);
        }
    }

    /// What can be done of `verdict`: a bad release is left only if another one could boot, and not before it is written
    /// down why.
    pub(super) async fn executable(&mut self, verdict: &Verdict, observed: &Observed) -> Verdict {
        let (Verdict::Failed { reason }, Some(releases)) = (verdict, &observed.update) else {
            return verdict.clone();
        };
        if !update::plan::has_alternative(releases) {
            self.warnings.report(format!("{reason}; no other release could boot, so this one stays up"));
            let reported = health::act::keep_booted(&self.host);
            self.warnings.note(reported);
            return Verdict::Waiting { for_what: reason.clone() };
        }
        if let Some(digest) = update::plan::booted_digest(releases) {
            let failed = FailedRelease {
                digest: digest.clone(),
                version: releases.booted_version.clone(),
                reason: reason.clone(),
                at: unix_secs(SystemTime::now()),
            };
            // A full /var is no reason to stay with a bad release; only its reason is lost.
            let written = self.update.give_up(failed).await;
            self.warnings.note(written);
        }
        verdict.clone()
    }
}

/// `kernel.arguments`, as on a command line.
pub(super) fn arguments(settings: &Settings) -> String {
    let words: Vec<&str> = settings.kernel.arguments.iter().map(|argument| argument.as_str()).collect();
    words.join(" ")
}
