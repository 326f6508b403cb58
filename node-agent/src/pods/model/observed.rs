//! What the runtime and the disk show of the pods.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::{Duration, SystemTime},
};

use ballast_types::ImageReference;

use super::Key;
use crate::pods::{disk, probes::model::Verdict};

/// What the runtime has of one sandbox of ours.
#[derive(Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// The runtime's id.
    pub id: String,
    /// Whose.
    pub key: Key,
    /// Which version of it.
    pub uid: String,
    /// How many sandboxes this version had before.
    pub attempt: u32,
    /// Whether it runs.
    pub ready: bool,
    /// The file that described it.
    pub source: String,
    /// What that file said.
    pub text: String,
    /// How long its containers may take to end.
    pub grace: Duration,
    /// When the first sandbox of this version was made.
    pub since: SystemTime,
    /// Where it is reached: its own address, or the node's; empty if nobody knows.
    pub address: String,
    /// What is in it.
    pub containers: Vec<Instance>,
}

/// Without the text, in which secrets may be.
impl fmt::Debug for Sandbox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, key, uid, attempt, ready, source, text: _, grace, since, address, containers } = self;
        formatter
            .debug_struct("Sandbox")
            .field("id", id)
            .field("key", key)
            .field("uid", uid)
            .field("attempt", attempt)
            .field("ready", ready)
            .field("source", source)
            .field("grace", grace)
            .field("since", since)
            .field("address", address)
            .field("containers", containers)
            .finish_non_exhaustive()
    }
}

/// One run of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// The runtime's id.
    pub id: String,
    /// Which container of the pod.
    pub name: String,
    /// How many runs there were before.
    pub attempt: u32,
    /// How many of them in a row ended soon.
    pub crashes: u32,
    /// When it started, if it did.
    pub started_at: Option<SystemTime>,
    /// What it does.
    pub state: State,
}

/// What a container does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Made, and not started: we were interrupted, or its start failed.
    Created,
    /// Runs.
    Running,
    /// Ended.
    Exited {
        /// When it had started, if it ever did.
        started_at: Option<SystemTime>,
        /// When.
        finished_at: SystemTime,
        /// With which status.
        exit_code: i32,
        /// Why, in one word, if the runtime knows.
        reason: String,
        /// Why, in a sentence of the runtime's; empty if it has none.
        message: String,
    },
}

/// Everything about the pods at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// The sandboxes that are ours.
    pub sandboxes: Vec<Sandbox>,
    /// The images that the runtime has, with the digest of their configuration.
    pub images: BTreeMap<ImageReference, String>,
    /// The images that the OS brings along, by their name and by their digest.
    pub archives: BTreeMap<ImageReference, Archive>,
    /// Pods that a job is at work on, with the version that it is for.
    pub busy: BTreeMap<Key, String>,
    /// Versions of pods that have volumes or logs on the disk.
    pub files: BTreeSet<String>,
    /// What pods with a network of their own ask for names; None as long as it is worth waiting for.
    pub resolver: Option<Resolver>,
    /// What the last job for a pod failed with, unless one succeeded since.
    pub failures: BTreeMap<Key, Failure>,
    /// What the probes of running containers say, by the runtime's id.
    pub verdicts: BTreeMap<String, Verdict>,
    /// The room on /var, and what takes it.
    pub disk: disk::model::Observed,
}

/// Whom to ask for names, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolver {
    /// Addresses of name servers; none if the node knows none.
    pub servers: Vec<String>,
    /// Domains that a short name is looked for in.
    pub searches: Vec<String>,
    /// Options of resolv.conf(5).
    pub options: Vec<String>,
}

/// An image that the OS brings along in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// The file.
    pub path: String,
    /// What the runtime calls it once it is imported.
    pub reference: ImageReference,
    /// The digest of the image's configuration.
    pub config: String,
}

/// A job that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which version of the pod it was for.
    pub uid: String,
    /// Whether it was to bring the pod up.
    pub of_start: bool,
    /// When.
    pub at: SystemTime,
    /// How many in a row.
    pub count: u32,
    /// Why.
    pub message: String,
}
