//! What the operator wants of this node: where it is written down, what of it holds, and how it comes to hold. What may stand in it, and
//! which files it makes, is the crate `ballast-settings`' to know.
//!
//! Settings know no domain; domains may know settings.

pub mod act;
pub mod boot;
pub mod effects;
pub mod model;
pub mod observe;
pub mod plan;
pub mod probe;

pub use ballast_settings::window;
