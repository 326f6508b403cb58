//! Power cuts that are real: every write and flush of a guest is recorded, and any disk that a cut could have left is made and checked.
//!
//! ```text
//!  record ──> base, log, marks ──> epochs ──> cuts ──> Scratch (in memory) ──> facts ──> verdict ──> findings
//!  (QEMU, blklogwrites)                 (pure)         applied, taken back     (fsck, read)  (pure)
//! ```

pub mod breach;
pub mod check;
pub mod cut;
pub mod disk;
pub mod figures;
pub mod log;
pub mod lying;
pub mod marks;
mod random;
pub mod record;
pub mod run;
