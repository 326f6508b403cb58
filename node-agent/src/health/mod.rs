//! Is this boot good? For now: which units failed.

pub mod model;
pub mod observe;
pub mod plan;
