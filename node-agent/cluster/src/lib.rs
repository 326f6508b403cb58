//! A node's memberships in Kubernetes clusters: what it reports of itself there, and what it does when its `NodeOS` asks for it.
//!
//! ```text
//!  Facts (the agent) ───┐                                   ┌──> API server: Node, Lease, NodeOS, Events, slots
//!  Config (settings) ───┼──> plan (pure) ──> act ───────────┤
//!  ClusterSnapshot      │                                   └──> Order to the agent: prepare an image, reboot
//!  (observe <── API) ───┘           Facts <── the agent <────┘   Report to the agent: status, metrics
//! ```
//!
//! One task for each cluster ([`Membership`]), none knows another: one that is unreachable harms nobody. [`model`] and [`plan`] are pure: no
//! I/O, no clock, no async (`tests/pure.rs`). What came of an order is seen in the next [`model::Facts`], so phases are derived at each pass
//! and never stored; what must outlive the agent is in the cluster itself: slots, the node's cordon, `NodeOS` status.

mod act;
pub mod client;
pub mod credentials;
pub mod manifests;
mod membership;
pub mod model;
mod observe;
pub mod plan;
mod random;

pub use self::membership::Membership;
