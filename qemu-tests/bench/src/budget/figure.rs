//! The figures that are watched, and how they are reported.

use serde::{Deserialize, Serialize};

/// A figure; its name in budget.toml is the same in snake case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Guest instructions to READY
    ReadyInstructions,
    /// The same of a node that is given a kilobyte of settings
    SettingsReadyInstructions,
    /// The same of one that is given a cluster besides
    ClusterReadyInstructions,
    /// Debian packages
    Packages,
    /// Bytes of all files
    InstalledBytes,
    /// Bytes of the compressed disk
    CompressedBytes,
    /// Bytes of the kernel
    KernelBytes,
    /// Bytes of the initramfs
    InitramfsBytes,
    /// Bytes of memory that an idle node does not have to give
    IdleMemoryBytes,
    /// Bytes of the agent's resident memory
    AgentMemoryBytes,
}

impl Figure {
    /// All, in the order in which they are reported.
    pub const ALL: [Self; 10] = [
        Self::ReadyInstructions,
        Self::SettingsReadyInstructions,
        Self::ClusterReadyInstructions,
        Self::Packages,
        Self::InstalledBytes,
        Self::CompressedBytes,
        Self::KernelBytes,
        Self::InitramfsBytes,
        Self::IdleMemoryBytes,
        Self::AgentMemoryBytes,
    ];

    /// Its name in budget.toml.
    pub fn key(self) -> &'static str {
        match self {
            Self::ReadyInstructions => "ready_instructions",
            Self::SettingsReadyInstructions => "settings_ready_instructions",
            Self::ClusterReadyInstructions => "cluster_ready_instructions",
            Self::Packages => "packages",
            Self::InstalledBytes => "installed_bytes",
            Self::CompressedBytes => "compressed_bytes",
            Self::KernelBytes => "kernel_bytes",
            Self::InitramfsBytes => "initramfs_bytes",
            Self::IdleMemoryBytes => "idle_memory_bytes",
            Self::AgentMemoryBytes => "agent_memory_bytes",
        }
    }

    /// `value` with its unit, for a person.
    pub fn show(self, value: u64) -> String {
        match self {
            Self::ReadyInstructions | Self::SettingsReadyInstructions | Self::ClusterReadyInstructions => {
                format!("{:.3} G", value as f64 / 1e9)
            }
            Self::Packages => value.to_string(),
            Self::InstalledBytes | Self::CompressedBytes | Self::IdleMemoryBytes => {
                format!("{:.1} MB", value as f64 / 1e6)
            }
            Self::KernelBytes | Self::InitramfsBytes | Self::AgentMemoryBytes => {
                format!("{:.2} MB", value as f64 / 1e6)
            }
        }
    }
}

/// A number as budget.toml has it: `2_970_000_000`.
pub(super) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_as_in_the_file() {
        for (value, text) in [(0, "0"), (120, "120"), (1_000, "1_000"), (2_970_000_000, "2_970_000_000")] {
            assert_eq!(grouped(value), text);
        }
    }

    #[test]
    fn each_figure_is_named_as_serde_names_it() {
        for figure in Figure::ALL {
            assert_eq!(serde_json::to_value(figure).unwrap(), figure.key());
        }
    }
}
