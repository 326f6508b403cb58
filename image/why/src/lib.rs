//! Why each file of the image is in it. What has no reason is taken out; what is missing fails the build.
//!
//! ```text
//!  lists (commands, units, calls, data, features) ─┐
//!  tree (files, links) ────────────────────────────┼─> closure ──> report: files.tsv, removed.tsv, packages, problems
//!  readers: elf, units, rules ─────────────────────┘
//!  owners (dpkg's lists, image/root, target/stage) ──────────────────┘
//! ```
//! The closure starts at what the lists name and follows what can be read from the files themselves: libraries, interpreters,
//! dlopen notes, `Exec` lines, units that units pull in, programs of udev rules. Nothing of the image is executed.

pub mod closure;
pub mod elf;
pub mod lists;
pub mod owners;
pub mod report;
pub mod rules;
pub mod tree;
pub mod units;
