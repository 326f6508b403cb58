//! Reading the cluster: what a rollout asks for when it asks, the NodeOS and the pods of the node as they change.

mod bound;
mod fetch;
mod node_os;
mod version;

pub(crate) use self::{
    bound::{PodChange, watch_pods},
    fetch::fetch,
    node_os::{Change, Observed, watch},
    version::server_version,
};
