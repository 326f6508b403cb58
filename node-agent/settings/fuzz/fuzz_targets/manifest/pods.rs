//! The agent's parser of manifests, where it expects itself.

#[path = "disk.rs"]
pub mod disk;
#[path = "../../../../src/pods/manifest/mod.rs"]
pub mod manifest;
#[path = "../../../../src/pods/model/mod.rs"]
pub mod model;
#[path = "probes.rs"]
pub mod probes;
