//! Slots: what stands for the right to be down. Their number in a pool is how many of its nodes may be down at once.
//!
//! An operator makes them, as Leases in [`SLOT_NAMESPACE`]; nodes only read these. Who has one says so on a Lease of its own, in
//! [`CLAIM_NAMESPACE`], which nobody else can write: API servers let a node write only the Lease with its name (NodeRestriction).

use super::Role;

/// Where slots are kept.
pub const SLOT_NAMESPACE: &str = "ballast-system";
/// Where each node has its one Lease, the one of its heartbeat.
pub const CLAIM_NAMESPACE: &str = "kube-node-lease";
/// The label of a slot that says whose it is.
pub const POOL_LABEL: &str = "os.ballast.dev/pool";
/// The label of a node's Lease that names the slot that it claims.
pub const SLOT_LABEL: &str = "os.ballast.dev/slot";
/// The annotation of a node's Lease that says what it does with the slot, or why it is stuck.
pub const REASON_ANNOTATION: &str = "os.ballast.dev/reason";

/// A slot, and who claims it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// Whose it is to take; empty: it is claimed and does not exist (any more).
    pub pool: String,
    /// Who claims it, by name. It is had by a node that is alone here, in a fetch that began after its own claim was written.
    pub claims: Vec<Claim>,
}

/// What a node says on its own Lease, as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// The node's name.
    pub node: String,
    /// Which state of its Lease this is: a change is made to this one or not at all.
    pub resource_version: String,
    /// What the node says.
    pub reason: String,
    /// It stands on the slot itself, where an agent of a release before claims took it. That one sees no claims, so it never lets go for one.
    pub is_old: bool,
}

/// The object of a node that Events are about, and that its Lease goes with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// Its Node.
    #[default]
    Node,
    /// Its NodeOS, since it has no Node of its own making.
    NodeOs,
}

impl Subject {
    /// Its kind in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Node => "Node",
            Self::NodeOs => "NodeOS",
        }
    }
}

impl From<Role> for Subject {
    fn from(role: Role) -> Self {
        match role {
            Role::Node | Role::Kubelet => Self::Node,
            Role::ReportOnly => Self::NodeOs,
        }
    }
}
