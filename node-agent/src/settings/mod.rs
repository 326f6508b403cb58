//! What the operator wants of this node: reads the file. What may stand in it is the crate `ballast-settings`' to know.
//!
//! Settings know no domain; domains may know settings.

pub mod observe;

pub use ballast_settings::{model, window};
