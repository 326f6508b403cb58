//! The releases on the node: the form in which `ballast releases` and programs get them. Its keys are an interface.

use serde::{Deserialize, Serialize};

use crate::Sha256Digest;

/// The releases, those that failed, and what is being done. The JSON keys are an interface: add, do not rename.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Releases {
    /// Those on the disk, the booted one first, the others by what would boot next.
    pub releases: Vec<Release>,
    /// Those that failed here and are not tried again until they are allowed.
    pub failed: Vec<FailedRelease>,
    /// What is being done.
    pub operation: Option<Operation>,
}

/// A release on the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The manifest digest of the OCI image that it came as.
    pub digest: Option<String>,
    /// Its version.
    pub version: String,
    /// Its ostree commit.
    pub commit: String,
    /// The image's name, as it was asked for.
    pub image: Option<String>,
    /// Whether it runs now.
    pub booted: bool,
    /// Whether it is the next to boot.
    pub next: bool,
    /// Whether it boots if the next one fails.
    pub last_good: bool,
    /// Whether it is kept until it is unpinned.
    pub pinned: bool,
    /// `trial`, `good`, `failed`; `unknown` if there is no boot entry to say it.
    pub state: String,
}

/// A release that failed here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedRelease {
    /// Which.
    pub digest: Sha256Digest,
    /// Its version.
    pub version: String,
    /// What was wrong, in one sentence.
    pub reason: String,
    /// When that was found, in seconds since 1970.
    pub at: u64,
}

/// An operation that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// `upgrade`, `rollback`, …
    pub command: String,
    /// How far it is.
    #[serde(flatten)]
    pub progress: Progress,
}

/// How far an operation is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// What it is at.
    pub phase: Phase,
    /// The image, once it is known.
    pub image: Option<String>,
    /// Bytes that were fetched.
    pub fetched_bytes: u64,
    /// Bytes that there are to fetch.
    pub total_bytes: u64,
}

/// What an operation is at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Asking the registry, checking the signature.
    #[default]
    Resolve,
    /// Looking whether there is room.
    Preflight,
    /// Fetching layers.
    Fetch,
    /// Making the deployment.
    Deploy,
    /// Writing kernel and initramfs to the ESP.
    Kernel,
    /// Writing the boot entry: the one commit point.
    Commit,
    /// Removing what is not needed any more.
    Collect,
    /// Checking objects.
    Check,
    /// Rebooting.
    Reboot,
}

impl Phase {
    /// What programs and people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Preflight => "preflight",
            Self::Fetch => "fetch",
            Self::Deploy => "deploy",
            Self::Kernel => "kernel",
            Self::Commit => "commit",
            Self::Collect => "collect",
            Self::Check => "check",
            Self::Reboot => "reboot",
        }
    }
}
