//! What the operator wants of a node, from any source's text to typed settings. Pure: no file, no clock, no network.
//!
//! ```text
//!  Source ──> Fragment ──> Merged ──> Settings ──> Rendered
//!  bytes      keys and     all of     typed,       files that
//!             places       them       complete     others read
//! ```
//! Each is trusted more than the one before it. **What is valid applies, the rest is named** and changes nothing.

pub mod edit;
mod fragment;
mod merged;
pub mod metadata;
pub mod migrate;
pub mod model;
mod problem;
mod read;
pub mod render;
pub mod schema;
mod tree;
pub mod values;
pub mod window;
mod write;

pub use self::{
    fragment::{Kind, MAX_BYTES, Rank, Source, VERSION},
    read::{Outcome, quoted},
    tree::Origin,
    write::{Secrets, write},
};
use self::{
    merged::Merged,
    model::{Problem, Settings},
};

/// The settings in `sources`, and what in those does not apply.
pub fn settings(sources: &[Source<'_>]) -> (Settings, Vec<Problem>) {
    let Outcome { settings, problems, .. } = read(sources);
    (settings, problems)
}

/// As [`settings`], also with where each value came from.
pub fn read(sources: &[Source<'_>]) -> Outcome {
    read::read(&Merged::new(sources))
}
