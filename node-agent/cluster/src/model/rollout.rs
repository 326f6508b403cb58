//! What a rollout depends on, and what it decides. The phases themselves are `NodeOS` status: [`Phase`].

use std::{collections::BTreeMap, time::Duration};

use ballast_settings::window::Window;
use serde::{Deserialize, Serialize};

use super::{Claim, DrainTimeoutPolicy, NodeOsSpec, Order, Phase, RebootPolicy, Role, Slot};

/// The annotation of a Node that says whose its cordon is.
pub const CORDON_ANNOTATION: &str = "os.ballast.dev/cordoned";
/// What it says if it is the rollout's: only then is the Node uncordoned.
pub const CORDON_VALUE: &str = "rollout";

/// Who this node is to the cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The name of its Node and its NodeOS.
    pub name: String,
    /// What it is there.
    pub role: Role,
    /// Whose slots it takes.
    pub pool: String,
}

/// What was read of the cluster for one pass. All but the NodeOS is None until a [`Step::Fetch`] asks for it, and is forgotten after any other
/// step, so that nothing is done upon an old fetch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterSnapshot {
    /// The node's NodeOS. None: it has not been read yet, or there is none.
    pub node_os: Option<NodeOsSnapshot>,
    /// The node's Node.
    pub node: Option<NodeSnapshot>,
    /// All slots, of whatever pool: the node may hold one of the pool that it was in before. If the node claims one of them, all claims were read
    /// after its own was written.
    pub slots: Option<Vec<Slot>>,
    /// Which state the node's own Lease is in; empty: there is none.
    pub lease: Option<String>,
    /// The pods on the node.
    pub pods: Option<Vec<PodSnapshot>>,
}

/// What the rollout needs of a NodeOS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeOsSnapshot {
    /// `spec`
    pub spec: NodeOsSpec,
    /// What this node found the image to mean, and keeps. Never what stands in the status: others may write there.
    pub resolved: Option<Resolved>,
}

/// An image and the release that it meant when it was resolved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// As it was asked for.
    pub image: String,
    /// `sha256:…`
    pub digest: String,
}

/// A `NodeOS` spec, understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DesiredState {
    /// The release that shall run.
    pub image: Option<String>,
    /// Nothing new is begun.
    pub is_paused: bool,
    /// When it may drain and reboot. None: at any time.
    pub windows: Option<Vec<Window>>,
    /// Whether it reboots by itself.
    pub reboot: RebootPolicy,
    /// How long pods have to go.
    pub drain_timeout: Duration,
    /// What happens when they have not.
    pub after_timeout: DrainTimeoutPolicy,
}

/// What the rollout needs of a Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSnapshot {
    /// Whether new pods are kept away, and by whom.
    pub cordon: Cordon,
    /// Which state of it this is: it is cordoned in this one or not at all.
    pub resource_version: String,
}

/// Whether new pods are kept away from a node, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cordon {
    /// They are not.
    None,
    /// By the rollout.
    Ours,
    /// By somebody else: it stays as it is.
    Others,
}

/// A pod on the node, as far as a drain goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSnapshot {
    /// Which.
    pub id: PodId,
    /// What the drain has to do with it.
    pub kind: PodKind,
}

/// Which pod: also which of several that had the name one after the other.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodId {
    /// `metadata.namespace`
    pub namespace: String,
    /// `metadata.name`
    pub name: String,
    /// `metadata.uid`
    pub uid: String,
}

/// What a drain has to do with a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodKind {
    /// It stays: a DaemonSet's, a mirror of one that the node runs by itself, or one that has ended.
    Stays,
    /// It has to go and has not been asked to.
    Runs,
    /// It was asked to go and is still there.
    Ends,
}

/// What a pass decides: what the node is at, and the one thing that is to be done now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// For `status.phase`.
    pub phase: Phase,
    /// For `status.message`.
    pub message: String,
    /// The slot that the node holds, as far as it was looked at. For `status.slot`.
    pub slot: Option<String>,
    /// What the image that is asked for means, to be kept. For `status.observedImage` and `status.observedDigest`; None leaves them.
    pub resolved: Option<Resolved>,
    /// What is to be done now.
    pub step: Option<Step>,
    /// When to pass again even if nothing changes (jittered by the caller). None: only on a change. After a step that went well the next pass
    /// follows at once.
    pub wait: Option<Duration>,
    /// The drain was given up in this pass.
    pub gives_up: bool,
    /// No pod is left on a node that [`Facts::leaves`](super::Facts::leaves).
    pub is_empty: bool,
}

/// One thing that is to be done. Doing it twice does no harm: if the answer is lost, the next fetch shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Read more, and pass again with it.
    Fetch(Fetch),
    /// Ask the machine.
    Order(Order),
    /// Claim the slot on the node's own Lease, if that is still as it was read. Whether it has it shows in the next fetch.
    TakeSlot {
        /// Its name.
        slot: String,
        /// Of the node's Lease, as it was read; empty: there is none.
        resource_version: String,
        /// What for.
        reason: String,
    },
    /// Say beside the claim what we are at.
    AnnotateSlot {
        /// The claim, as it was read.
        claim: Claim,
        /// What.
        reason: String,
    },
    /// Claim nothing any more.
    GiveSlotBack {
        /// The claim, as it was read.
        claim: Claim,
    },
    /// Keep new pods away, with our annotation, if the Node is still as it was read.
    Cordon {
        /// Of the Node, as it was read.
        resource_version: String,
    },
    /// Take our cordon and its annotation away, if the Node is still as it was read.
    Uncordon {
        /// Of the Node, as it was read.
        resource_version: String,
    },
    /// Ask these pods to go, through the Eviction API; each answer goes to [`Memory::evicted`].
    Evict {
        /// Which.
        pods: Vec<PodId>,
    },
    /// Delete these pods, which were asked to go, with a grace period of 0: what a kubelet does when their containers have ended.
    Remove {
        /// Which.
        pods: Vec<PodId>,
    },
}

/// What is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetch {
    /// `ClusterSnapshot::node`
    Node,
    /// `ClusterSnapshot::slots`
    Slots {
        /// Not what the API server may have kept of them for a moment; what this node claims is always read so.
        is_fresh: bool,
    },
    /// `ClusterSnapshot::lease`
    Lease,
    /// `ClusterSnapshot::pods`
    Pods,
}

/// What came of an eviction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Eviction {
    /// The pod goes, or is gone.
    Accepted,
    /// A budget does not allow it now (429), or something else that guards the pod; in its words.
    Blocked(String),
}

/// What a membership remembers from pass to pass. If it is lost, with the agent, only tempo is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// The boot and the image that all of this is about.
    pub about: (String, Option<String>),
    /// What it is at, and since when.
    pub phase: (Phase, Duration),
    /// Whether a fetch has shown that the node holds no slot and no cordon of its own, and it has not tried to since.
    pub is_settled: bool,
    /// When it last tried to take a slot or to cordon: an answer that is lost may still come true for a while.
    pub touched: Duration,
    /// The slot that it had at the last fetch.
    pub slot: Option<String>,
    /// Whether it was alone with that slot once.
    pub was_alone: bool,
    /// The number of the last order.
    pub last_order: u64,
    /// The number of the last order that was about something else: its result and those before do not matter.
    pub order_before: u64,
    /// The order to prepare that was sent last, and when.
    pub order: Option<(u64, Duration)>,
    /// How often preparing failed, and when it is tried again.
    pub prepare: Retry,
    /// How often the drain was given up, and when it is tried again.
    pub drain: Retry,
    /// The state of the claim on which it was reported last that the node goes down. It goes down in another: what was on its way to this state, and was
    /// given up, comes to nothing then.
    pub reported_from: Option<String>,
    /// When a reboot was ordered.
    pub reboot: Option<Duration>,
    /// The kubelet that waits, by its digest: to drain for another one is another drain.
    pub waits: Option<String>,
    /// The kubelet that was ordered last, by its digest, and when.
    pub kubelet: Option<(String, Duration)>,
    /// Pods that a budget holds back, by uid.
    pub blocked: BTreeMap<String, Blocked>,
    /// Whether it was emptied for somebody on the machine, so that its cordon is to be taken away if it stays.
    pub leaves: bool,
}

/// How often something failed, and when it is tried again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retry {
    /// How often in a row.
    pub failures: u32,
    /// When it may be tried again.
    pub at: Duration,
    /// What was wrong last.
    pub reason: String,
    /// Whether it was refused, so that trying again soon is no use.
    pub is_refused: bool,
}

/// A pod that a budget holds back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Blocked {
    /// How often in a row.
    pub times: u32,
    /// When it is asked again.
    pub until: Duration,
    /// In the words of the API server.
    pub message: String,
}
