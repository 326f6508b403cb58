//! The room on /var: images that nothing uses go between two marks, pods that take more than they may are ended.

pub(super) mod collect;
pub mod controller;
pub mod model;
pub(super) mod plan;
mod usage;
