//! Kubernetes' kubelet on this node: which version runs, how it is configured, whether it answers. It is an artifact beside the OS
//! (docs/design/kubelet.md), in a unit of its own; this room looks after both.

pub mod act;
mod leave;
pub mod memory;
pub mod model;
pub mod observe;
pub mod plan;
pub mod pods;
pub mod probe;
