//! Is this boot good? A release on trial has to show it within its time: then its boot entry is blessed, else the node reboots.

pub mod act;
mod checks;
pub mod gate;
pub mod model;
pub mod observe;
pub mod plan;
