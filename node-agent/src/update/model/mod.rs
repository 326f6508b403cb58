//! What is known of the releases on this node.

mod boot_entry;
mod deployment;
mod failed_release;
mod memory;
mod operation;
mod release;
mod trust;

use std::collections::BTreeMap;

pub use ballast_types::FailureKind;

pub(super) use self::failed_release::is_named;
pub use self::{
    boot_entry::{BootEntry, BootEntryName, Tries},
    deployment::{DeploymentId, Origin},
    failed_release::FailedRelease,
    memory::Memory,
    operation::{Command, Event, Failure, Outcome, Phase, Progress, Target, Upgrade},
    release::{Digest, Layer, Offer},
    trust::{Offered, Revoked},
};

/// Everything about the releases at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// The deployment that runs.
    pub booted: Option<DeploymentId>,
    /// The version of the one that runs.
    pub booted_version: String,
    /// The deployments on the disk, and where each came from, if that is written down.
    pub on_disk: BTreeMap<DeploymentId, Option<Origin>>,
    /// The boot entries that name a deployment, also one that is not there.
    pub entries: Vec<BootEntry>,
    /// What the agent remembers of releases.
    pub memory: Memory,
    /// What the release that runs revokes, and every other that ran here.
    pub revoked: Revoked,
    /// What of that cannot be read.
    pub revoked_problems: Vec<String>,
    /// What is wrong with the file that keeps it, if it is damaged.
    pub memory_damage: Option<String>,
    /// The arguments of the settings that the kernel was booted with.
    pub booted_arguments: String,
    /// The EFI system partition, while it is there and not mounted.
    pub unmounted_esp: Option<String>,
    /// An operation is to go on, this boot is young, and there is no way to any network yet.
    pub lacks_network: bool,
}

impl Observed {
    /// Where the deployment `id` came from, if it is there and that is written down.
    pub fn origin(&self, id: &DeploymentId) -> Option<&Origin> {
        self.on_disk.get(id)?.as_ref()
    }

    /// Where the deployment that runs came from.
    pub fn booted_origin(&self) -> Option<&Origin> {
        self.origin(self.booted.as_ref()?)
    }

    /// Whether the deployment `id` has proved itself with the command line `options`.
    pub fn has_proved_itself_with(&self, id: &DeploymentId, options: &str) -> bool {
        let mut blessed = self.entries.iter().filter(|entry| entry.deployment == *id && entry.is_blessed());
        blessed.any(|entry| entry.options.split_whitespace().eq(options.split_whitespace()))
    }

    /// Whether the deployment `id` has proved itself, under whatever entry.
    pub fn has_proved_itself(&self, id: &DeploymentId) -> bool {
        self.entries.iter().any(|entry| entry.deployment == *id && entry.is_blessed())
    }
}

/// What the settings allow to be done without being asked, at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unattended {
    /// Whether the node upgrades by itself.
    pub is_on: bool,
    /// Whether it may reboot for that.
    pub reboots: bool,
    /// Whether the time is within the window.
    pub is_open: bool,
    /// Whether it is time to ask the registry.
    pub is_due: bool,
}

/// What to do about the releases without being asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Set the damaged file of what is remembered aside, and make it anew.
    MendMemory,
    /// Mount the EFI system partition, so that the boot entries can be read.
    MountEsp {
        /// As `/dev/vda1`.
        device: String,
    },
    /// Remember that a release used up its tries.
    MarkFailed {
        /// What is written down.
        failed: FailedRelease,
    },
    /// Remember what the release that runs has proved and revoked.
    Learn {
        /// The version below which nothing is taken any more, if it rises.
        floor: Option<String>,
        /// All that is revoked.
        revoked: Revoked,
    },
    /// Forget what the registry offered last: the node does not ask it by itself any more.
    ForgetOffered,
    /// Look for another release, and take it.
    Upgrade,
    /// Boot the release that is prepared.
    Reboot,
    /// Let the release that runs boot with the arguments of the settings.
    Arguments,
    /// Take up an operation again that a crash or a restart of the agent cut short.
    Resume {
        /// Which.
        command: Command,
    },
}

/// A release on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Which.
    pub id: DeploymentId,
    /// Its version, as far as it is known.
    pub version: String,
    /// The manifest digest of the OCI image that it came as.
    pub digest: Option<Digest>,
    /// The name under which it was fetched.
    pub image: Option<String>,
    /// Whether it runs.
    pub booted: bool,
    /// Whether it is the next to boot.
    pub next: bool,
    /// Whether it is what boots if the next one fails.
    pub last_good: bool,
    /// Whether it is kept until it is unpinned.
    pub pinned: bool,
    /// What its boot entry says.
    pub state: State,
}

/// What a boot entry says of its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It still has to prove itself: tries are counted.
    Trial,
    /// It has proved itself.
    Good,
    /// Its tries are used up.
    Failed,
    /// It has no entry, or none that could be read.
    Unknown,
}
