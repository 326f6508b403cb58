//! What a pod is called, whom it asks for names, and where it is reached.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{container::is_false, observed::Resolver};

/// What a pod is called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Naming {
    /// spec.hostname
    pub hostname: Option<String>,
    /// spec.subdomain
    pub subdomain: Option<String>,
    /// Whether its host name is the full one.
    pub has_full_name: bool,
    /// spec.hostAliases
    pub aliases: Vec<HostAlias>,
}

/// spec.hostAliases\[\]: lines of /etc/hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostAlias {
    /// The address.
    pub address: String,
    /// Its names.
    pub names: Vec<String>,
}

/// spec.dnsConfig, with spec.dnsPolicy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Dns {
    /// Addresses of name servers.
    pub servers: Vec<String>,
    /// Domains that a short name is looked for in.
    pub searches: Vec<String>,
    /// Options of resolv.conf(5).
    pub options: Vec<String>,
    /// Whether the node's own are not asked besides.
    #[serde(skip_serializing_if = "is_false")]
    pub is_alone: bool,
}

impl Dns {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// With what the node's resolver says, each once.
    pub fn with(&self, node: Resolver) -> Resolver {
        let merge = |mut all: Vec<String>, own: &[String]| {
            all.extend(own.iter().cloned());
            let mut seen = BTreeSet::new();
            all.retain(|one| seen.insert(one.clone()));
            all
        };
        let base = if self.is_alone { Resolver::default() } else { node };
        // The pod's word about an option comes after the node's, and so it counts.
        Resolver {
            servers: merge(base.servers, &self.servers),
            searches: merge(base.searches, &self.searches),
            options: merge(base.options, &self.options),
        }
    }
}

/// spec.containers\[\].ports\[\]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Port {
    /// What probes may call it.
    pub name: Option<String>,
    /// Where the container listens.
    pub number: u16,
    /// How.
    pub protocol: Protocol,
    /// The port of the host that leads there.
    pub host: Option<u16>,
    /// The host's address; empty for all of them.
    pub host_ip: String,
}

impl Port {
    /// Whether both want the same port of the host.
    pub fn is_in_the_way_of(&self, other: &Self) -> bool {
        let is_any = |port: &Self| matches!(port.host_ip.as_str(), "" | "0.0.0.0" | "::");
        self.host.is_some()
            && self.host == other.host
            && self.protocol == other.protocol
            && (is_any(self) || is_any(other) || self.host_ip == other.host_ip)
    }
}

/// How a port is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Protocol {
    /// TCP
    Tcp,
    /// UDP
    Udp,
    /// SCTP
    Sctp,
}
