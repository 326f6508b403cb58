//! The releases on this node: which is booted, which boots next, how another one is fetched and undone.

pub mod act;
pub mod memory;
pub mod model;
pub mod observe;
pub mod plan;
