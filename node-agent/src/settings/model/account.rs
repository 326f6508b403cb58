//! What was looked for at the first boot: so that no later boot looks for it again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Giver;

/// Who was asked for settings, in `/var/lib/ballast/sources.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Account {
    /// The last look at each.
    pub looked: BTreeMap<Giver, Look>,
}

/// A look for a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// When, in seconds since 1970 by the node's clock.
    pub at: u64,
    /// Whether something was there.
    pub found: bool,
    /// What, or why nothing, in one sentence.
    pub what: String,
    /// Whether something was there that could not be read as a whole: no later boot looks again, so it has to be told.
    #[serde(default)]
    pub failed: bool,
}

impl Account {
    /// Whether `giver` was asked already.
    pub fn has(&self, giver: Giver) -> bool {
        self.looked.contains_key(&giver)
    }
}
