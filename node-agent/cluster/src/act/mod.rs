//! Writing to the cluster: one file per kind of object. What is written is decided in `plan`.

mod event;
mod evict;
mod lease;
mod node;
mod node_os;
mod slot;

pub(crate) use self::{
    event::EventRecorder,
    evict::{Evictions, fail, remove},
    lease::Heartbeat,
    node::{adopt, change, register, report},
    node_os::{Created, apply, create},
    slot::{change as change_claim, create as create_claim},
};
