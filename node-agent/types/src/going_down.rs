//! A node that is about to go down, as its status shows it.

use serde::{Deserialize, Serialize};

/// What somebody asked for, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoingDown {
    /// `reboot` or `off`.
    pub action: String,
    /// `scheduled`, `waits` (for an operation), `drains`, `ends-pods` or `goes-down`.
    pub phase: String,
    /// When it begins, by the kernel's uptime in seconds; null: it has begun.
    pub until_s: Option<u64>,
    /// Seconds until then.
    pub left_s: Option<u64>,
    /// Whether its clusters' pods go first.
    pub drain: bool,
    /// What it waits for, in a sentence.
    pub message: String,
}
