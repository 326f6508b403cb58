//! The types that travel: what the machine tells, what its settings say, what the cluster holds.

mod facts;
mod host;
mod membership;
mod node_os;

pub use self::{
    facts::{Boot, Capacity, Denied, Facts, Failed, Operation, Os, Prepared, Readings, Release},
    host::{Order, Report, State},
    membership::{Authority, Config, Credentials, DEFAULT_POOL, Role, Secret},
    node_os::{
        DeniedStatus, DrainTimeoutPolicy, FIELD_MANAGER, NodeOs, NodeOsSpec, NodeOsStatus, Phase, RebootPolicy,
        ReleaseStatus,
    },
};
