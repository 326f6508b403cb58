//! `[update]` and `[health]`.

use std::time::Duration;

use crate::{values::PublicKey, window::Window};

/// How long a release on trial has if nothing else is said: a node of two slow cores is healthy within one minute.
pub const TRIAL_DEADLINE: Duration = Duration::from_secs(300);

/// `[update]`: which releases this node takes, and when by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// `image`: where releases come from, `HOST[:PORT]/PATH[:TAG]`, `…@sha256:…` or `oci:FOLDER[:TAG]`.
    pub image: Option<String>,
    /// `auto`: whether the node upgrades by itself.
    pub auto: bool,
    /// `window`: when it may do so. None is at any time; an empty list, when none of those given was valid, is never.
    pub windows: Option<Vec<Window>>,
    /// `reboot`: whether an upgrade by itself ends with a reboot.
    pub reboot: bool,
    /// `signatures`
    pub signatures: Signatures,
    /// `keys`: whose releases are taken, beside those of the image's keys.
    pub keys: Vec<PublicKey>,
    /// `keys_threshold`: how many of the keys must have signed a release.
    pub keys_threshold: u32,
    /// `identity`
    pub identity: Identity,
    /// `signature_max_days`: how many days ago a release may have been signed. None is as long ago as its signature allows.
    pub signature_max_days: Option<u32>,
}

impl Default for Update {
    fn default() -> Self {
        Self {
            image: None,
            auto: false,
            windows: None,
            reboot: true,
            signatures: Signatures::Required,
            keys: Vec::new(),
            keys_threshold: 1,
            identity: Identity::Repository,
            signature_max_days: None,
        }
    }
}

/// Whether releases have to be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signatures {
    /// By one of the node's keys.
    Required,
    /// Any release is taken.
    Unchecked,
}

/// What a release must have been signed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity {
    /// As any image of the repository that is asked.
    Repository,
    /// With the very tag that is asked for: what was signed for one channel is not good for another.
    Tag,
}

/// `[health]`: when a release on trial is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// `network`: whether the node must have a network.
    pub network: bool,
    /// `deadline`: how long a release has to prove itself.
    pub deadline: Duration,
}

impl Default for Health {
    fn default() -> Self {
        Self { network: false, deadline: TRIAL_DEADLINE }
    }
}
