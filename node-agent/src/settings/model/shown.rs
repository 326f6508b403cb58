//! The settings as they are shown: the form in which `ballast settings show` and the status get them.

use serde::{Deserialize, Serialize};

use super::{Problem, Read, source::rank_name};

/// All that is shown. The JSON keys are an interface: add, do not rename.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// What holds, as TOML, without secrets.
    pub settings: String,
    /// Where each value is from that is not as when nothing is said.
    pub origins: Vec<Whence>,
    /// The sources, and what in them does not apply.
    #[serde(flatten)]
    pub sources: Sources,
}

/// A key's source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Whence {
    /// As `update.auto`.
    pub key: String,
    /// `SOURCE:LINE:COLUMN`
    #[serde(rename = "where")]
    pub place: String,
}

/// `settings` of the status.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sources {
    /// The sources that are there, who counts most first.
    pub sources: Vec<SourceShown>,
    /// What does not apply, or has not come to hold in time.
    pub problems: Vec<Warning>,
    /// What is there and not taken, where nobody made a mistake: what platforms write by themselves, a cloud that is not asked.
    pub notes: Vec<Warning>,
    /// Settings that are taken back unless they are confirmed.
    pub trial: Option<TrialShown>,
}

/// A source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceShown {
    /// Its name.
    pub name: String,
    /// `node`, `credential`, `volume`, `esp`, `metadata`
    pub rank: String,
    /// When it was read, in seconds since 1970; null if it is read at each boot.
    pub at: Option<u64>,
}

/// Something that does not apply.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The key that it is about.
    pub key: Option<String>,
    /// `SOURCE:LINE:COLUMN`
    #[serde(rename = "where")]
    pub place: String,
    /// What is wrong, and what would be right.
    pub reason: String,
}

/// A trial that runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrialShown {
    /// When it ends, in seconds since 1970 by the node's clock of now.
    pub until_s: u64,
    /// How many seconds are left.
    pub left_s: u64,
}

impl Sources {
    /// What `read` reports of them, and what does not hold although it applies.
    pub fn of(read: &Read, effects: &[Problem], trial: Option<TrialShown>) -> Self {
        let at = |rank| read.record.probed.iter().find(|(source, _)| source.rank() == rank).map(|(_, probe)| probe.at);
        let source = |document: &super::Document| SourceShown {
            name: document.name.clone(),
            rank: rank_name(document.rank).to_owned(),
            at: at(document.rank),
        };
        Self {
            sources: read.documents.iter().map(source).collect(),
            problems: read.problems.iter().chain(effects).map(Warning::of).collect(),
            notes: read.notes.iter().map(Warning::of).collect(),
            trial,
        }
    }
}

impl Warning {
    /// In one sentence.
    pub fn sentence(&self) -> String {
        let key = self.key.as_ref().map(|key| format!(" {key}:")).unwrap_or_default();
        let text = format!("{}:{key} {}", self.place, self.reason);
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
    }

    fn of(problem: &Problem) -> Self {
        let expected = Some(&problem.expected).filter(|expected| !expected.is_empty());
        let expected = expected.map(|expected| format!(", expected {expected}")).unwrap_or_default();
        Self {
            key: problem.key.clone(),
            place: place(&problem.file, problem.place),
            reason: format!("{}{expected}", problem.what),
        }
    }
}

/// `SOURCE:LINE:COLUMN`
pub(super) fn place(source: &str, place: Option<super::Place>) -> String {
    place.map_or_else(|| source.to_owned(), |place| format!("{source}:{}:{}", place.line, place.column))
}

impl Shown {
    /// What `read` holds, and what does not hold although it applies.
    pub fn of(read: &Read, effects: &[Problem], trial: Option<TrialShown>) -> Self {
        let from = |(key, origin): (&String, &ballast_settings::Origin)| Whence {
            key: key.clone(),
            place: place(&origin.source, origin.place),
        };
        Self {
            settings: ballast_settings::write(&read.settings, ballast_settings::Secrets::Masked),
            origins: read.origins.iter().map(from).collect(),
            sources: Sources::of(read, effects, trial),
        }
    }
}
