//! A real Kubernetes control plane on loopback, and kubectl to look at it.
//!
//! ```text
//!  control-plane/build ──> target/control-plane ──> ControlPlane: etcd <── kube-apiserver <── controller-manager, scheduler
//!  registry::Authority ──> certificates ───────────────┘   ▲    ▲
//!                                      Kubectl (as admin) ──┘    └── nodes: 10.0.2.2:PORT with the CA and a bootstrap token
//! ```
//! It listens on 127.0.0.1 only: the version that builds from Debian's sources is an old one.

mod control_plane;
mod daemon;
mod joining;
mod kubeconfig;
mod kubectl;
mod no_kubelet;
mod operator;
mod ports;
mod programs;

pub use control_plane::{ControlPlane, TOKEN, Wanted};
pub use daemon::Daemon;
pub use joining::Joining;
pub use kubeconfig::Kubeconfig;
pub use kubectl::Kubectl;
pub use no_kubelet::{bind, is_handed_back, no_pods, offers_no_pods};
pub use operator::{Held, claims, frees, held, install, install_only_types, node_oses, slots, trust_nodes, wants};
pub use programs::Programs;
