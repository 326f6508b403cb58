//! One source: from its bytes to what it says. A fragment knows no schema; it knows where everything stands.

mod cloud_config;
mod format;
mod limits;
mod meta_data;
mod network;
mod parse;
#[cfg(test)]
mod tests;
mod text;
mod toml;
mod unpack;
mod vendor_data;
mod version;
mod yaml;

use std::sync::Arc;

pub(crate) use self::limits::Budget;
pub use self::{limits::MAX_BYTES, version::VERSION};
use crate::{problem::Problem, tree::Table};

/// A text that may say something of the settings. There may be secrets in it: its bytes are not shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Source<'a> {
    /// How problems name it: a file's path, `credential ballast.settings`, ….
    pub name: &'a str,
    /// How much it counts.
    pub rank: Rank,
    /// What it is.
    pub kind: Kind,
    /// What it holds.
    pub bytes: &'a [u8],
}

impl std::fmt::Debug for Source<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Source({}, {} bytes)", self.name, self.bytes.len())
    }
}

impl<'a> Source<'a> {
    /// A source that the operator wrote.
    pub const fn new(name: &'a str, rank: Rank, bytes: &'a [u8]) -> Self {
        Self { name, rank, kind: Kind::Settings, bytes }
    }
}

/// How much a source counts; what is nearer to the operator's hand counts more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// `ballast settings` on the node.
    Node,
    /// The systemd credential `ballast.settings` (SMBIOS, fw_cfg).
    Credential,
    /// A volume with the label `CIDATA` or `config-2`.
    Volume,
    /// A file on the ESP.
    Esp,
    /// The cloud's metadata service.
    Metadata,
    /// The image's defaults.
    Image,
}

/// What a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What an operator wrote: TOML, or `#cloud-config`; also compressed with gzip, or in a MIME message.
    Settings,
    /// What the platform wants besides, in the same formats; OpenStack's `vendor_data.json`.
    VendorData,
    /// Interfaces as NoCloud has them: cloud-init's network-config, version 1 or 2.
    NetworkConfig,
    /// Interfaces as OpenStack has them: `network_data.json`.
    NetworkData,
    /// What the platform says of the machine: OpenStack's `meta_data.json`, NoCloud's `meta-data`.
    MetaData,
    /// The machine's name and nothing else.
    Hostname,
}

impl Kind {
    /// All of them; of the same rank the first counts most.
    pub const ALL: [Self; 6] =
        [Self::Settings, Self::VendorData, Self::NetworkConfig, Self::NetworkData, Self::MetaData, Self::Hostname];

    /// Whether a platform writes it by itself, so that what does not fit is nobody's mistake here: it is a note, not a problem.
    const fn is_of_platform(self) -> bool {
        match self {
            Self::VendorData | Self::MetaData | Self::Hostname => true,
            // A node without the addresses that it was given is not as somebody wants it, whoever wrote them.
            Self::Settings | Self::NetworkConfig | Self::NetworkData => false,
        }
    }
}

/// What one source says.
#[derive(Debug)]
pub(crate) struct Fragment {
    pub(crate) source: Arc<str>,
    pub(crate) table: Table,
    /// What is wrong with it.
    pub(crate) problems: Vec<Problem>,
    /// What a platform wrote that is not taken: worth knowing, and nothing to mend.
    pub(crate) notes: Vec<Problem>,
    /// Whether what is wrong in it is worth a note alone.
    pub(crate) is_of_platform: bool,
}
