//! The clusters that this node belongs to. What a node is and does in one is the crate `ballast-cluster`'s to know; this room brings it what
//! the machine reports, starts and ends memberships as the settings say, and hands their orders over.

pub mod act;
pub mod model;
pub mod observe;
pub mod plan;
