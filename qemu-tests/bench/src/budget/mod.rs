//! The gate: what a release costs, beside what `budget.toml` allows.
//!
//! ```text
//!  budget.toml ──> Budget (recorded, limit, line of each figure) ──┐
//!  manifest.json, counted boots, one idle node ──> Measured ────┴──> Verdict of each figure ──> sentences, JSON
//! ```

mod figure;
mod file;
mod measure;
mod verdict;

pub use figure::Figure;
pub use file::{Budget, Entry};
pub(crate) use measure::idle_node;
pub use measure::{Measured, measure};
pub use verdict::{CLUSTER_PERCENT, Finding, SETTINGS_PERCENT, Verdict, added_costs, evaluate};
