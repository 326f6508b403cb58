//! Moments of a recording that have a name, and what the node answered for by then. They lie beside the log.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// What a file on VAR holds from then on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holds {
    /// The file's path on VAR, which is mounted on /var
    pub path: String,
    /// A text in it; none if the file is gone
    pub text: Option<String>,
}

impl Holds {
    /// Whether a file with this `content`, or none, is so.
    pub fn is_in(&self, content: Option<&str>) -> bool {
        match (&self.text, content) {
            (Some(text), Some(content)) => content.contains(text.as_str()),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

/// Which release the node has answered that it boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Promise {
    /// The one that booted before the recording
    Old,
    /// Another one
    New,
    /// Either: one is on trial
    Any,
}

/// A moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// What happened, as `settings set`
    pub name: String,
    /// So many entries the log had then
    pub entries: usize,
    /// What a power cut from then on must not undo
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holds: Option<Holds>,
    /// Which release boots from then on; the one that boots next at that moment is known from then on
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boots: Option<Promise>,
    /// Whether the disk heeds FUA and QEMU does not log it (see [`super::log::Log::with_durable_commits`])
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub heeds_fua: bool,
}

/// Reads the marks of a recording; there may be none.
///
/// # Errors
/// When they cannot be read.
pub fn read(path: &Path) -> Result<Vec<Mark>> {
    let doing = || format!("reading the marks {}", path.display());
    if !path.exists() {
        return Ok(Vec::new());
    }
    serde_json::from_str(&std::fs::read_to_string(path).with_context(doing)?).with_context(doing)
}

/// Writes them.
///
/// # Errors
/// When they cannot be written.
pub fn write(path: &Path, marks: &[Mark]) -> Result<()> {
    let text = serde_json::to_string_pretty(marks).context("writing marks as JSON")?;
    std::fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))
}
