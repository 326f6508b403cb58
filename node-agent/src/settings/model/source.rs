//! Where settings are from, and how what the first boot found is kept.

use std::collections::BTreeMap;

use ballast_settings::{Kind, Origin, Rank, Source};
use serde::{Deserialize, Serialize};

use super::{Problem, ProvisioningRecord, Settings};

/// What the operator changes on the node.
pub const FILE: &str = "/var/lib/ballast/settings.toml";

/// What the first boot found, byte for byte.
pub const SOURCES: &str = "/var/lib/ballast/sources";

/// Who gives a machine settings for its first boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// The systemd credential `ballast.settings` (SMBIOS, fw_cfg).
    Credential,
    /// A volume with the label `CIDATA` or `config-2`.
    Volume,
    /// A file on the EFI system partition.
    Esp,
    /// The cloud's metadata service.
    Metadata,
}

impl SourceKind {
    /// All of them, who counts most first.
    pub const ALL: [Self; 4] = [Self::Credential, Self::Volume, Self::Esp, Self::Metadata];

    /// How much it counts.
    pub const fn rank(self) -> Rank {
        match self {
            Self::Credential => Rank::Credential,
            Self::Volume => Rank::Volume,
            Self::Esp => Rank::Esp,
            Self::Metadata => Rank::Metadata,
        }
    }

    /// The file in [`SOURCES`] that keeps what it gave.
    pub fn file(self, kind: Kind) -> String {
        let kind = match kind {
            Kind::Settings => "",
            Kind::VendorData => ".vendor-data",
            Kind::NetworkConfig => ".network-config",
            Kind::NetworkData => ".network-data",
            Kind::MetaData => ".meta-data",
            Kind::Hostname => ".hostname",
        };
        format!("{}{kind}", rank_name(self.rank()))
    }

    /// How problems name what it gave.
    pub fn name(self, kind: Kind) -> String {
        let what = match kind {
            Kind::Settings => "user-data",
            Kind::VendorData => "vendor-data",
            Kind::NetworkConfig => "network-config",
            Kind::NetworkData => "network_data.json",
            Kind::MetaData => "metadata",
            Kind::Hostname => "hostname",
        };
        match self {
            Self::Credential => "credential ballast.settings".to_owned(),
            Self::Volume => format!("volume {what}"),
            Self::Esp => "/efi/ballast.toml".to_owned(),
            Self::Metadata => format!("cloud {what}"),
        }
    }
}

/// What programs and people call a rank.
pub(in crate::settings) const fn rank_name(rank: Rank) -> &'static str {
    match rank {
        Rank::Node => "node",
        Rank::Credential => "credential",
        Rank::Volume => "volume",
        Rank::Esp => "esp",
        Rank::Metadata => "metadata",
        Rank::Image => "image",
    }
}

/// A source that is there. There may be secrets in it: its bytes are not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    /// How problems name it.
    pub name: String,
    /// How much it counts.
    pub rank: Rank,
    /// What it is.
    pub kind: Kind,
    /// What it holds.
    pub bytes: Vec<u8>,
}

impl Document {
    /// As the settings are read from it.
    pub fn source(&self) -> Source<'_> {
        Source { name: &self.name, rank: self.rank, kind: self.kind, bytes: &self.bytes }
    }
}

impl std::fmt::Debug for Document {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Document({}, {} bytes)", self.name, self.bytes.len())
    }
}

/// All that was read, and what it means.
#[derive(Debug, Clone, Default)]
pub struct Read {
    /// The sources that are there, who counts most first.
    pub documents: Vec<Document>,
    /// What holds.
    pub settings: Settings,
    /// What does not: what cannot be read first, then source by source.
    pub problems: Vec<Problem>,
    /// What is there and not taken, where nobody made a mistake: what platforms write by themselves.
    pub notes: Vec<Problem>,
    /// By key: where its value is from.
    pub origins: BTreeMap<String, Origin>,
    /// When the first boot's sources were read, and which were not there.
    pub record: ProvisioningRecord,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kept_source_has_a_file_of_its_own() {
        let mut files: Vec<String> = Vec::new();
        for source in SourceKind::ALL {
            files.extend(Kind::ALL.map(|kind| source.file(kind)));
        }
        assert_eq!(files[6..8], ["volume", "volume.vendor-data"]);
        files.sort();
        files.dedup();
        assert_eq!(files.len(), 24);
    }

    #[test]
    fn what_a_source_holds_is_not_shown() {
        let bytes = b"cluster.token = \"s3cret\"".to_vec();
        let document = Document { name: "f".to_owned(), rank: Rank::Node, kind: Kind::Settings, bytes };
        assert_eq!(format!("{document:?}"), "Document(f, 24 bytes)");
    }
}
