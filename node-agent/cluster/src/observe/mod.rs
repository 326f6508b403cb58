//! Reading the cluster: what a rollout asks for when it asks, and the NodeOS as it changes.

mod look;
mod node_os;

pub(crate) use self::{
    look::look,
    node_os::{Change, Observed, Watch, watch},
};
