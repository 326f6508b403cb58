//! What is known of the space on /var, and what to do about it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, SystemTime},
};

use ballast_types::ImageReference;
use serde::{Deserialize, Serialize};

use crate::pods::model::Key;

/// When images that nothing uses are removed: the settings' table `[images]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// From how many percent of /var on.
    pub high_percent: u32,
    /// Until how many.
    pub low_percent: u32,
    /// How long an image has to be here before.
    pub minimum_age: Duration,
}

/// Never, until the settings were read.
impl Default for Marks {
    fn default() -> Self {
        Self { high_percent: 100, low_percent: 99, minimum_age: Duration::MAX }
    }
}

/// How large /var is, and what of it is left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes in all; 0 if nobody could be asked.
    pub bytes: u64,
    /// Bytes that anybody may still use.
    pub available_bytes: u64,
    /// Inodes in all; 0 on file systems that have no fixed number.
    pub inodes: u64,
    /// Inodes that anybody may still use.
    pub available_inodes: u64,
}

/// An image, as long as the runtime has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The digest of its configuration.
    pub id: String,
    /// Its names.
    pub references: BTreeSet<ImageReference>,
    /// What it takes, as far as the runtime knows.
    pub size_bytes: u64,
    /// Whether the runtime itself needs it.
    pub is_pinned: bool,
    /// Since when it is here; long ago, if it was before the agent.
    pub since: SystemTime,
    /// When a container was last seen that has it.
    pub used_at: Option<SystemTime>,
}

impl Image {
    /// What a person calls it.
    pub fn name(&self) -> String {
        self.references.first().map_or_else(|| self.id.clone(), ToString::to_string)
    }
}

/// What a version of a pod takes of the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Its emptyDirs that are not in memory, by name.
    pub volumes: BTreeMap<String, u64>,
    /// Its containers by name: logs, and what they wrote into their root file systems.
    pub containers: BTreeMap<String, u64>,
}

impl Usage {
    /// All of it.
    pub fn bytes(&self) -> u64 {
        self.volumes.values().chain(self.containers.values()).sum()
    }
}

/// A version of a pod whose usage is to be measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Which pod.
    pub key: Key,
    /// Which version of it.
    pub uid: String,
}

/// That a version of a pod was ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eviction {
    /// When, in seconds since 1970.
    pub at: u64,
    /// Why.
    pub message: String,
}

/// Everything about the disk at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observed {
    /// The settings' marks.
    pub marks: Marks,
    /// /var.
    pub room: Room,
    /// Whether it is short of room: Kubernetes' DiskPressure.
    pub is_short: bool,
    /// The images that there are.
    pub images: Vec<Image>,
    /// What pods take, as far as it was measured.
    pub usage: BTreeMap<String, Usage>,
    /// Whether it is to be measured again.
    pub is_measuring_due: bool,
    /// Whether images are being removed.
    pub is_collecting: bool,
    /// When images were last removed without reaching the low mark: all that may go had gone.
    pub exhausted_at: Option<SystemTime>,
    /// Versions of pods that were ended.
    pub evicted: BTreeMap<String, Eviction>,
}

/// What to do about the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Steps {
    /// Remove these images, in this order, until /var is at the low mark; None if that is not due.
    pub collect: Option<Vec<Image>>,
    /// End these versions of pods, with why.
    pub evict: Vec<(String, String)>,
    /// Those that were ended and may start again, or are not wanted any more.
    pub forgive: Vec<String>,
    /// Measure what these take.
    pub measure: Vec<Owner>,
}

/// What was done since the agent started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DiskUse {
    /// /var.
    pub room: Room,
    /// Whether it is short of room.
    pub is_short: bool,
    /// How many images were removed.
    pub images_removed: u64,
    /// How many pods were ended.
    pub evictions: u64,
}
