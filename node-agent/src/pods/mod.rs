//! The pods that this node runs: described by Kubernetes Pod manifests in folders, run through the CRI.

pub mod act;
mod cached;
mod cut_short;
pub mod desired;
pub mod disk;
mod files;
pub mod hosted;
pub mod logs;
pub mod manifest;
pub mod model;
pub mod observe;
pub mod phase;
pub mod plan;
pub mod preloaded;
pub mod probes;
mod restart_backoff;
mod sandbox;
mod termination;
mod volumes;
