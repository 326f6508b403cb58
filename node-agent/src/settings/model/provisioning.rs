//! Which sources the first boot looked for, so that no later boot looks for them again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::SourceKind;

/// Who was asked for settings, in `/var/lib/ballast/sources.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProvisioningRecord {
    /// The last probe of each.
    pub probed: BTreeMap<SourceKind, Probe>,
}

/// A probe for a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// When, in seconds since 1970 by the node's clock.
    pub at: u64,
    /// Whether something was there.
    pub found: bool,
    /// What, or why nothing, in one sentence.
    pub what: String,
    /// Whether something was there that could not be read as a whole: no later boot looks again, so it has to be reported.
    #[serde(default)]
    pub failed: bool,
    /// On which volume, if it was one: no other is asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeId>,
}

/// By what a volume is known again: what whoever fills it has no hand in, beside what it is there for. Its content may be another, as when
/// a platform writes a CD anew.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeId {
    /// What it is plugged into, as the kernel has it below /sys/devices.
    pub location: String,
    /// Its disk's serial number or worldwide name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Its partition's number, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
    /// Its label, in small letters.
    pub label: String,
    /// As `iso9660`.
    pub file_system: String,
}

impl ProvisioningRecord {
    /// Whether `source` was asked already.
    pub fn has(&self, source: SourceKind) -> bool {
        self.probed.contains_key(&source)
    }
}
