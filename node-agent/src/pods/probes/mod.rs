//! Probes of containers: what is asked, what follows from the answers, and the one task that asks.

pub mod act;
pub mod model;
pub mod plan;
