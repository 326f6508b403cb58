//! The releases on this node: which is booted, which boots next, how another one comes here and is undone again.

pub mod act;
pub mod memory;
pub mod model;
pub mod observe;
pub mod plan;
