//! What the model of a pod knows of probes.

#[path = "../../../../src/pods/probes/model.rs"]
pub mod model;
