//! What a membership asks of the machine, and what it reports to the machine about its cluster.

use ballast_types::status::Traffic;

use super::Role;

/// What a cluster asks of the machine. The result is in the [`Facts`](super::Facts).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Make `image` the release that boots next, as `ballast upgrade` does, without rebooting.
    Prepare {
        /// By which `Os::prepared` and `Os::failure` name it: greater than all before it in this membership.
        id: u64,
        /// `REGISTRY/NAME[:TAG][@DIGEST]`
        image: String,
    },
    /// Reboot into what boots next.
    Reboot {
        /// Why, in a sentence.
        reason: String,
    },
    /// Start the version of the kubelet that waits: the node holds a slot, and no pod is left on it.
    Kubelet {
        /// Which, by the digest of its manifest.
        digest: String,
    },
}

/// What the machine learns of a membership: for `ballast status`, `ballast clusters` and metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The cluster's name in the settings.
    pub name: String,
    /// What the machine is there.
    pub role: Role,
    /// The name of its Node and NodeOS there, once it is known.
    pub node: Option<String>,
    /// How it stands.
    pub state: State,
    /// The API server in use.
    pub server: Option<String>,
    /// Until when the client certificate holds, in seconds since 1970.
    pub certificate_until: Option<u64>,
    /// The image that its NodeOS asks for.
    pub image: Option<String>,
    /// The kubelet that its NodeOS asks for, and whether it asks for one; None until a NodeOS was read.
    pub kubelet: Option<Option<String>>,
    /// The API server's version, as `v1.33.0`; None while nobody knows.
    pub server_version: Option<String>,
    /// `PHASE: message` of the rollout.
    pub rollout: Option<String>,
    /// How far the node is emptied while [`Facts::leaves`](super::Facts::leaves).
    pub drain: Option<DrainProgress>,
    /// What is wrong, one sentence each.
    pub problems: Vec<String>,
    /// What was sent and received.
    pub traffic: Traffic,
}

/// How far a node is emptied that somebody wants to go down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DrainProgress {
    /// No pod is left that has to go.
    pub is_done: bool,
    /// What it waits for, in a sentence.
    pub message: String,
}

/// How a membership stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum State {
    /// It has not begun.
    #[default]
    Off,
    /// The clock is not set, so no certificate can be checked.
    WaitingForClock,
    /// It connects, gets its certificate, registers the node.
    Joining,
    /// The cluster answers.
    Connected,
    /// The cluster does not answer.
    Unreachable {
        /// Since when, in seconds since 1970.
        since: u64,
        /// What was tried last, and the result, in a sentence.
        reason: String,
    },
    /// The cluster answers and does not let us in.
    Refused {
        /// What it refused and why, in a sentence.
        reason: String,
    },
}
