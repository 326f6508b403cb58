//! Slots: Leases that stand for the right to be down. Their number in a pool is how many of its nodes may be down at once.

use super::Role;

/// Where slots are kept.
pub const SLOT_NAMESPACE: &str = "ballast-system";
/// The service account of that namespace as which nodes read and take slots, since a node's own identity may not (NodeRestriction).
pub const SLOT_ACCOUNT: &str = "node-slots";
/// The label of a slot that says whose it is.
pub const POOL_LABEL: &str = "os.ballast.dev/pool";
/// The annotation of a slot in which its holder says what it is at, or why it is stuck.
pub const REASON_ANNOTATION: &str = "os.ballast.dev/reason";
/// The annotation of a slot that says what its holder is: only when that object is gone may another take the slot over.
pub const HOLDER_ANNOTATION: &str = "os.ballast.dev/holder";

/// A slot, as it was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Slot {
    /// The Lease's name.
    pub name: String,
    /// Whose it is to take.
    pub pool: String,
    /// Which state of it this is: a change is made to this one or not at all.
    pub resource_version: String,
    /// Who has it.
    pub holder: Option<Holder>,
    /// What the holder says.
    pub reason: String,
}

/// Who has a slot.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// The node's name.
    pub name: String,
    /// By which of its objects one sees whether it still exists.
    pub object: HolderObject,
}

/// By what one sees whether a slot's holder still exists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum HolderObject {
    /// Its Node.
    #[default]
    Node,
    /// Its NodeOS, since it has no Node of its own making.
    NodeOs,
}

impl HolderObject {
    /// As the annotation has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Node => "Node",
            Self::NodeOs => "NodeOS",
        }
    }

    /// Of the annotation's text; what nobody wrote is a Node.
    pub fn of(text: &str) -> Self {
        if text == Self::NodeOs.name() { Self::NodeOs } else { Self::Node }
    }
}

impl From<Role> for HolderObject {
    fn from(role: Role) -> Self {
        match role {
            Role::Node => Self::Node,
            Role::ReportOnly => Self::NodeOs,
        }
    }
}
