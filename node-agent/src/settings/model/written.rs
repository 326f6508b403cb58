//! What is begun and not done yet, so that after an error or a crash the rest is done.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use ballast_settings::render::{Change, Needs, needs};
use serde::{Deserialize, Serialize};

use crate::clients::{host::Host, store};

/// In /run: a boot begins with nothing of it.
const FILE: &str = "/run/ballast/settings-left";

/// What is left to do for the settings to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Left {
    /// Files that may be written by now, whether they belong to what holds or not, and what another change of each needs: nobody else
    /// would know that they are ours.
    pub files: BTreeMap<String, PendingActions>,
    /// What nobody has done yet.
    pub pending: PendingActions,
}

/// What a change needs, once its file is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PendingActions {
    /// The kernel has to be given the machine's name.
    pub hostname: bool,
    /// Units to be reloaded, if they run; none that is restarted.
    pub reload: BTreeSet<String>,
    /// Units to be restarted, if they run.
    pub restart: BTreeSet<String>,
}

impl Left {
    /// What an earlier time left.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) fn read(host: &Host) -> Result<Self> {
        let text = store::read(&host.path(FILE))?.unwrap_or_default();
        // One that is damaged is begun anew: nothing more is known.
        Ok(serde_json::from_slice(&text).unwrap_or_default())
    }

    /// Whether an earlier time left something.
    pub(super) fn is_there(host: &Host) -> bool {
        host.path(FILE).exists()
    }

    /// Takes in the files of `changes`.
    pub(super) fn add_files(&mut self, changes: &[Change<'_>]) {
        let file = |change: &Change<'_>| (change.file().path.clone(), PendingActions::of(needs(&[*change])));
        self.files.extend(changes.iter().map(file));
    }

    /// Writes down that this is left.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn keep(&self, host: &Host) -> Result<()> {
        if *self == Self::default() {
            return store::remove(&host.path(FILE));
        }
        store::write(&host.path(FILE), &serde_json::to_vec(self).context("encoding what is left to do")?)
    }
}

impl PendingActions {
    /// Without the boot, which nobody here can do.
    pub(super) fn of(needs: Needs) -> Self {
        let Needs { hostname, reload, restart, reboot: _ } = needs;
        let names = |units: BTreeSet<&str>| units.into_iter().map(str::to_owned).collect();
        Self { hostname, reload: names(reload), restart: names(restart) }
    }

    /// Takes in what something else needs.
    pub(super) fn add(&mut self, other: Self) {
        self.hostname |= other.hostname;
        self.reload.extend(other.reload);
        self.restart.extend(other.restart);
        self.reload.retain(|unit| !self.restart.contains(unit));
    }
}
