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
