//! The releases on the node: the form in which `ballast releases` gets them.

use serde::{Deserialize, Serialize};

use crate::update::model::{FailedRelease, Progress};

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

/// An operation that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// `upgrade`, `rollback`, …
    pub command: String,
    /// How far it is.
    #[serde(flatten)]
    pub progress: Progress,
}
