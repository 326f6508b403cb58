//! `target/bench/powercut.json`: what came of all states that were made.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use super::check::judge::{Boots, Fault};
use super::run::Outcome;

/// The figures, of one or more recordings.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// States that were made and judged
    pub states: usize,
    /// Epochs of the recordings: what lies between two flushes
    pub epochs: usize,
    /// States that were booted besides
    pub booted: usize,
    /// States in which the old release boots
    pub old: usize,
    /// States in which the new one does
    pub new: usize,
    /// States in which neither does
    pub neither: usize,
    /// States of which a file system was mended by more than its journal
    pub repaired_by_fsck: usize,
    /// States with a damaged file system or repository
    pub damaged: usize,
    /// States in which something is lost that the node had answered for
    pub lost: usize,
    /// States that were booted, and whose upgrade failed then
    pub upgrade_after_failed: usize,
    /// What decides which states are made
    pub seed: u64,
    /// States made a minute, without booting
    pub states_a_minute: u64,
    /// States of each recording
    pub recordings: BTreeMap<String, usize>,
    #[serde(skip)]
    seconds: f64,
}

impl Figures {
    /// None yet.
    pub fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Adds those of the recording `name`.
    pub fn add(&mut self, name: &str, outcome: &Outcome) {
        let boots = |which| outcome.boots.get(&which).copied().unwrap_or_default();
        let faults = |which| outcome.faults.get(&which).copied().unwrap_or_default();
        self.states += outcome.states;
        self.epochs += outcome.epochs;
        self.old += boots(Boots::Old);
        self.new += boots(Boots::New);
        self.neither += boots(Boots::Neither);
        self.damaged += faults(Fault::Damaged);
        self.lost += faults(Fault::Lost);
        self.repaired_by_fsck += outcome.mended;
        self.seconds += outcome.seconds;
        *self.recordings.entry(name.to_owned()).or_default() += outcome.states;
        self.states_a_minute = (self.states as f64 * 60.0 / self.seconds.max(f64::EPSILON)) as u64;
    }

    /// Writes them.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        let text = serde_json::to_string_pretty(self).context("writing figures as JSON")?;
        std::fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_add_up_under_the_names_of_the_contract() {
        let outcome = Outcome {
            states: 10,
            epochs: 3,
            boots: BTreeMap::from([(Boots::Old, 6), (Boots::New, 3), (Boots::Neither, 1)]),
            faults: BTreeMap::from([(Fault::Neither, 1), (Fault::Lost, 2)]),
            mended: 4,
            seconds: 1.0,
            ..Outcome::default()
        };
        let mut figures = Figures::new(7);
        figures.add("upgrade", &outcome);
        figures.add("settings", &outcome);
        let json = serde_json::to_value(&figures).unwrap();
        for (key, value) in [
            ("states", 20),
            ("epochs", 6),
            ("booted", 0),
            ("old", 12),
            ("new", 6),
            ("neither", 2),
            ("repaired_by_fsck", 8),
            ("damaged", 0),
            ("lost", 4),
            ("upgrade_after_failed", 0),
            ("seed", 7),
            ("states_a_minute", 600),
        ] {
            assert_eq!(json[key], value, "{key}");
        }
        assert_eq!(json["recordings"]["settings"], 10);
    }
}
