//! What the loop does about the settings: reads them, makes them hold, shows them.

use std::{
    sync::{Arc, LazyLock},
    time::SystemTime,
};

use super::{Agent, AskedSettings, Observed, unix_secs};
use crate::settings::model::{LogLevel, Read, Settings, Shown, Signatures, Sources};

/// What holds as long as nothing was read.
static NOTHING_SAID: LazyLock<Settings> = LazyLock::new(Settings::default);

impl Observed {
    /// What the operator wants.
    pub(super) fn settings(&self) -> &Settings {
        self.settings.as_ref().map_or(&NOTHING_SAID, |read| &read.settings)
    }
}

impl Agent {
    /// The settings; what is wrong with them is reported.
    pub(super) async fn observe_settings(&mut self) -> Option<Arc<Read>> {
        let (read, trial) = self.settings.read().await;
        self.warnings.note(trial);
        let read = read?;
        read.problems.iter().for_each(|problem| self.warnings.report(problem.to_string()));
        if read.settings.update.signatures == Signatures::Unchecked {
            let reported = "development: releases are taken whoever signed them (update.signatures in the settings)";
            self.warnings.report(reported.to_owned());
        }
        let observed = self.settings.observe_effects(&read);
        self.warnings.note(observed);
        let effects: Vec<String> = self.settings.effects().iter().map(ToString::to_string).collect();
        effects.into_iter().for_each(|effect| self.warnings.report(effect));
        let named = self.settings.follow_dhcp(&read);
        self.warnings.note(named);
        log::set_max_level(level(read.settings.log.level));
        Some(read)
    }

    /// One thing at a time: first what was asked for. A change may need units restarted, so it waits until systemd can be asked, or
    /// it shows that it cannot.
    pub(super) async fn act_on_settings(&mut self, observed: &Observed) {
        let Some(read) = &observed.settings else { return };
        let systemd = observed.systemd.as_ref();
        if systemd.is_none() && self.systemd.problem().is_none() {
            return;
        }
        if self.settings.is_free()
            && let Ok(AskedSettings { command, client }) = self.asked_settings.try_recv()
        {
            self.settings.ask(command, client, systemd);
        }
        self.settings.go_on(read, systemd).await;
    }

    /// Publishes them, and returns what of them the status has.
    pub(super) fn show_settings(&mut self, read: Option<&Read>) -> Sources {
        let Some(read) = read else { return Sources::default() };
        let mut shown = Shown::of(read, self.settings.effects(), self.settings.trial(unix_secs(SystemTime::now())));
        shown.sources.notes.extend(self.settings.note());
        let sources = shown.sources.clone();
        self.shown.send_replace(shown);
        sources
    }
}

fn level(level: LogLevel) -> log::LevelFilter {
    match level {
        LogLevel::Error => log::LevelFilter::Error,
        LogLevel::Warn => log::LevelFilter::Warn,
        LogLevel::Info => log::LevelFilter::Info,
        LogLevel::Debug => log::LevelFilter::Debug,
        LogLevel::Trace => log::LevelFilter::Trace,
    }
}
