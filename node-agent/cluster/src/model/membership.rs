//! What the settings say of one cluster.

use std::{collections::BTreeMap, fmt};

use ballast_settings::values::{LabelKey, LabelValue, Taint};

/// The pool of a node whose settings name none.
pub const DEFAULT_POOL: &str = "default";

/// One `[[cluster]]` of the settings, valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Which cluster: a DNS label.
    pub name: String,
    /// `https://HOST[:PORT]`, tried in order; empty only with a kubeconfig.
    pub servers: Vec<String>,
    /// By whom the API server's certificate must be signed.
    pub authority: Authority,
    /// With what the machine shows who it is.
    pub credentials: Credentials,
    /// What the machine is there.
    pub role: Role,
    /// Whose slots it takes to reboot.
    pub pool: String,
    /// The Node's name; None: the hostname.
    pub node_name: Option<String>,
    /// Labels that the Node gets.
    pub node_labels: BTreeMap<LabelKey, LabelValue>,
    /// Taints that the Node gets when it is made.
    pub node_taints: Vec<Taint>,
}

/// By whom the API server's certificate must be signed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Authority {
    /// By one that the image believes.
    #[default]
    Image,
    /// By one of these, in PEM.
    Pem(String),
    /// By the one whose public key (SubjectPublicKeyInfo) has this SHA-256, in lower-case hexadecimal digits.
    Hash(String),
}

/// With what the machine shows who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A bootstrap token `ID.SECRET`, good for one certificate of its own.
    Token(Secret),
    /// What the machine keeps of an earlier time there, and renews: it joined by a token that is gone from the settings.
    Kept,
    /// A whole kubeconfig, as YAML.
    Kubeconfig(Secret),
    /// A client certificate that somebody else made and renews.
    Certificate {
        /// In PEM.
        certificate: String,
        /// In PEM.
        key: Secret,
    },
}

/// What the machine is to a cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// A Node, with Lease, conditions and all.
    #[default]
    Node,
    /// A Node that is the kubelet's, which runs beside the agent: its labels, conditions and cordon of ours, and a NodeOS.
    Kubelet,
    /// Only a NodeOS: its kubelet, or its cluster, is elsewhere.
    ReportOnly,
}

impl Role {
    /// As the settings have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Kubelet => "kubelet",
            Self::ReportOnly => "report-only",
        }
    }

    /// Whether there is a Node of this machine, whoever makes it: it is cordoned and drained before a reboot.
    pub const fn has_node(self) -> bool {
        match self {
            Self::Node | Self::Kubelet => true,
            Self::ReportOnly => false,
        }
    }
}

/// What nobody may see. Unlike the settings' type of that name it may have several lines.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for what uses it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let credentials = Credentials::Certificate { certificate: "PEM".to_owned(), key: Secret::new("s3cret\n") };
        assert!(!format!("{credentials:?}").contains("s3cret"));
    }
}
