//! /var takes the whole disk: its partition and its file system grow once, after the first boot is READY.

pub mod act;
pub mod model;
pub mod observe;
pub mod plan;
