//! The settings as they are shown: the form in which `ballast settings show` and the status get them.

pub use ballast_types::status::{SourceShown, Sources, TrialShown, Warning};
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

/// What `read` reports of its sources, and what does not hold although it applies.
fn sources(read: &Read, effects: &[Problem], trial: Option<TrialShown>) -> Sources {
    let at = |rank| read.record.probed.iter().find(|(source, _)| source.rank() == rank).map(|(_, probe)| probe.at);
    let source = |document: &super::Document| SourceShown {
        name: document.name.clone(),
        rank: rank_name(document.rank).to_owned(),
        at: at(document.rank),
    };
    Sources {
        sources: read.documents.iter().map(source).collect(),
        problems: read.problems.iter().chain(effects).map(warning).collect(),
        notes: read.notes.iter().map(warning).collect(),
        trial,
    }
}

fn warning(problem: &Problem) -> Warning {
    let expected = Some(&problem.expected).filter(|expected| !expected.is_empty());
    let expected = expected.map(|expected| format!(", expected {expected}")).unwrap_or_default();
    Warning {
        key: problem.key.clone(),
        place: place(&problem.file, problem.place),
        reason: format!("{}{expected}", problem.what),
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
            sources: sources(read, effects, trial),
        }
    }
}
