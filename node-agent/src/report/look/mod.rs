//! What one looks at when a node is slow or full: processes, the network, disks.

pub mod disks;
pub mod network;
pub mod processes;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use self::{disks::Disks, network::Network, processes::Processes};
use crate::clients::host::Host;

/// At what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Look {
    /// Processes, by pod and unit.
    Processes,
    /// Addresses, routes, name servers, who listens.
    Network,
    /// Partitions, how full they are, and who uses /var.
    Disks,
}

/// What was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// Processes.
    Processes(Processes),
    /// The network.
    Network(Network),
    /// Disks.
    Disks(Disks),
}

/// Looks.
///
/// # Errors
/// If there is nothing to be seen.
pub(super) async fn look(host: &Host, at: Look) -> Result<Seen> {
    Ok(match at {
        Look::Processes => Seen::Processes(processes::look(host).await?),
        Look::Network => Seen::Network(network::look(host).await?),
        Look::Disks => Seen::Disks(disks::look(host).await?),
    })
}
