//! What the operator wants of a node. Pure: no file, no clock, no network.
//!
//! What is valid in a source applies; the rest is named and changes nothing.

pub mod model;
mod parse;
pub mod window;

pub use parse::settings;
