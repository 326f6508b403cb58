//! The container runtime: does it run and answer, and what to do if it does not.

pub mod act;
pub mod model;
pub mod observe;
pub mod plan;
