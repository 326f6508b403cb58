//! The space on /var: unused images are removed between two marks, pods over their limits are evicted.

pub(super) mod collect;
pub mod controller;
pub mod model;
pub(super) mod plan;
mod usage;
