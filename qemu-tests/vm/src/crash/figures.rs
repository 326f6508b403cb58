//! `target/bench/powercut.json`: what came of all states that were made.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::check::verdict::{Boots, Fault};
use super::run::Outcome;

/// The figures of one recording, or of all.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// States that were made and checked
    pub states: usize,
    /// Epochs of the recordings: what lies between two flushes
    pub epochs: usize,
    /// States that were booted besides
    pub booted: usize,
    /// States in which the old release boots
    pub old: usize,
    /// States in which a new one does
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
    /// How long the states took, without those that were booted
    pub seconds: f64,
    /// The same states, had the disk dropped flushes
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lying: BTreeMap<String, Figures>,
}

/// All recordings, and what they come to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// The sum
    #[serde(flatten)]
    pub total: Figures,
    /// States made a minute, without booting
    pub states_a_minute: u64,
    /// Of each recording
    pub recordings: BTreeMap<String, Figures>,
}

impl Figures {
    /// Those of one recording.
    pub fn of(seed: u64, outcome: &Outcome) -> Self {
        let boots = |which| outcome.boots.get(&which).copied().unwrap_or_default();
        let faults = |which| outcome.faults.get(&which).copied().unwrap_or_default();
        Self {
            states: outcome.states,
            epochs: outcome.epochs,
            old: boots(Boots::Old),
            new: boots(Boots::New),
            neither: boots(Boots::Neither),
            damaged: faults(Fault::Damaged),
            lost: faults(Fault::Lost),
            repaired_by_fsck: outcome.mended,
            seconds: outcome.seconds,
            seed,
            ..Self::default()
        }
    }

    fn add(&mut self, other: &Self) {
        self.states += other.states;
        self.epochs += other.epochs;
        self.booted += other.booted;
        self.old += other.old;
        self.new += other.new;
        self.neither += other.neither;
        self.repaired_by_fsck += other.repaired_by_fsck;
        self.damaged += other.damaged;
        self.lost += other.lost;
        self.upgrade_after_failed += other.upgrade_after_failed;
        self.seconds += other.seconds;
        self.seed = other.seed;
    }
}

impl Report {
    /// Of these recordings.
    pub fn of(recordings: BTreeMap<String, Figures>) -> Self {
        let mut total = Figures::default();
        recordings.values().for_each(|figures| total.add(figures));
        let states_a_minute = (total.states as f64 * 60.0 / total.seconds.max(f64::EPSILON)) as u64;
        Self { total, states_a_minute, recordings }
    }

    /// Puts the figures of the recording `name` into the report at `path`, in place of those that it has of it.
    ///
    /// # Errors
    /// When the file is no report, or cannot be written.
    pub fn note(path: &Path, name: &str, figures: &Figures) -> Result<Self> {
        let doing = || format!("noting figures in {}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(doing)?;
        }
        // Scenarios run side by side, and each changes its own part.
        let alone = File::create(path.with_extension("lock")).with_context(doing)?;
        flock(&alone, FlockOperation::LockExclusive).with_context(doing)?;
        let mut recordings = match std::fs::read_to_string(path) {
            // What an older version of this wrote is begun anew.
            Ok(text) => serde_json::from_str::<Self>(&text).map(|report| report.recordings).unwrap_or_default(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error).with_context(doing),
        };
        recordings.insert(name.to_owned(), figures.clone());
        let report = Self::of(recordings);
        let text = serde_json::to_string_pretty(&report).context("writing figures as JSON")?;
        std::fs::write(path, text + "\n").with_context(doing)?;
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_add_up_under_the_names_of_the_contract() {
        let outcome = Outcome {
            states: 10,
            epochs: 3,
            boots: BTreeMap::from([(Boots::Old, 6), (Boots::New, 3), (Boots::Neither, 1)]),
            faults: BTreeMap::from([(Fault::Neither, 1), (Fault::Lost, 2)]),
            mended: 4,
            seconds: 1.0,
            ..Outcome::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bench/powercut.json");
        let figures = Figures { booted: 2, ..Figures::of(7, &outcome) };
        // What is noted twice counts once.
        for name in ["upgrade", "settings", "upgrade"] {
            Report::note(&path, name, &figures).unwrap();
        }
        let json: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for (key, value) in [
            ("states", 20),
            ("epochs", 6),
            ("booted", 4),
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
        assert_eq!(json["recordings"]["settings"]["states"], 10);
    }

    #[test]
    fn what_cannot_be_read_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("powercut.json");
        std::fs::write(&path, "{\"recordings\": {\"upgrade\": 300}}").unwrap();
        let report = Report::note(&path, "upgrade", &Figures::default()).unwrap();
        assert_eq!(report.recordings.len(), 1);
    }
}
