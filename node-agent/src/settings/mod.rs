//! What the operator wants of this node, in one file. What is valid in it applies; the rest is named and changes nothing.
//!
//! Settings know no domain; domains may know settings. A new table is a struct in `model`, a file in `parse`, and a line in
//! `parse::settings`.

pub mod model;
pub mod observe;
mod parse;
pub mod window;
