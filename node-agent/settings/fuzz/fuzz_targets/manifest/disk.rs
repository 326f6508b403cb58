//! What the model of a pod knows of the disk.

#[path = "../../../../src/pods/disk/model.rs"]
pub mod model;
