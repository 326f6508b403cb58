//! Where the node's settings are from, and what in them does not apply.

use serde::{Deserialize, Serialize};

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

impl Warning {
    /// In one sentence.
    pub fn sentence(&self) -> String {
        let key = self.key.as_ref().map(|key| format!(" {key}:")).unwrap_or_default();
        let text = format!("{}:{key} {}", self.place, self.reason);
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
    }
}
