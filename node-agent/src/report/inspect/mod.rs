//! What an operator inspects when a node is slow or full: processes, the network, disks.

pub mod disks;
pub mod network;
pub mod processes;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use self::{disks::Disks, network::Network, processes::Processes};
use crate::clients::host::Host;

/// What is inspected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// Processes, by pod and unit.
    Processes,
    /// Addresses, routes, name servers, who listens.
    Network,
    /// Partitions, how full they are, and who uses /var.
    Disks,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inspection {
    /// Processes.
    Processes(Processes),
    /// The network.
    Network(Network),
    /// Disks.
    Disks(Disks),
}

/// Inspects `subject`.
///
/// # Errors
/// If nothing can be read.
pub(super) async fn inspect(host: &Host, subject: Subject) -> Result<Inspection> {
    Ok(match subject {
        Subject::Processes => Inspection::Processes(processes::inspect(host).await?),
        Subject::Network => Inspection::Network(network::inspect(host).await?),
        Subject::Disks => Inspection::Disks(disks::inspect(host).await?),
    })
}
