//! Going down because somebody asked for it: at once or later, with its clusters' pods gone first, and its own ended in order.

pub mod act;
pub mod model;
pub mod plan;
