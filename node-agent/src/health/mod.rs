//! Is this boot good? A release on trial must become healthy within its deadline: then its boot entry is blessed, else the node reboots.

pub mod act;
mod checks;
pub mod gate;
pub mod model;
pub mod observe;
pub mod plan;
