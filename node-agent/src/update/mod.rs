//! The releases on this node: which is booted, which boots next, and what their boot entries say. Only looked at so far.

pub mod act;
pub mod model;
pub mod observe;
pub mod plan;
