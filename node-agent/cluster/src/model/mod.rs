//! The types that travel: what the machine reports, what its settings say, what the cluster holds. Pure.

mod facts;
mod host;
mod membership;
mod node_os;
mod rollout;
mod slot;

pub use self::{
    facts::{ApiFacts, Boot, Capacity, Facts, Failed, FailedRelease, Hosted, Operation, Os, Prepared, Readings},
    host::{DrainProgress, Order, Report, State},
    membership::{Authority, Config, Credentials, DEFAULT_POOL, Role, Secret},
    node_os::{
        ApiStatus, DrainTimeoutPolicy, FIELD_MANAGER, FailedReleaseStatus, KubeletSpec, KubeletStatus, NodeOs,
        NodeOsSpec, NodeOsStatus, Phase, RebootPolicy, Release,
    },
    rollout::{
        Blocked, CORDON_ANNOTATION, CORDON_VALUE, ClusterSnapshot, Cordon, Decision, DesiredState, Eviction, Fetch,
        Identity, Memory, NodeOsSnapshot, NodeSnapshot, PodId, PodKind, PodSnapshot, Resolved, Retry, Step,
    },
    slot::{CLAIM_NAMESPACE, Claim, POOL_LABEL, REASON_ANNOTATION, SLOT_LABEL, SLOT_NAMESPACE, Slot, Subject},
};
