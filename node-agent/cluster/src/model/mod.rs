//! The types that travel: what the machine tells, what its settings say, what the cluster holds. Pure.

mod facts;
mod host;
mod membership;
mod node_os;
mod rollout;
mod slot;

pub use self::{
    facts::{Boot, Capacity, Denied, Facts, Failed, Operation, Os, Prepared, Readings, Release},
    host::{Order, Report, State},
    membership::{Authority, Config, Credentials, DEFAULT_POOL, Role, Secret},
    node_os::{
        DeniedStatus, DrainTimeoutPolicy, FIELD_MANAGER, NodeOs, NodeOsSpec, NodeOsStatus, Phase, RebootPolicy,
        ReleaseStatus,
    },
    rollout::{
        Blocked, CORDON_ANNOTATION, CORDON_VALUE, Cordon, Decision, Eviction, Identity, Look, Memory, PodId, PodKind,
        Resolved, Retry, Seen, SeenNode, SeenNodeOs, SeenPod, Step, Wish,
    },
    slot::{CLAIM_NAMESPACE, Claim, POOL_LABEL, REASON_ANNOTATION, SLOT_LABEL, SLOT_NAMESPACE, Slot, Subject},
};
