//! `[[cluster]]`: to which Kubernetes clusters the node belongs, and `[metrics]`: who else may know how it is.

use std::{collections::BTreeMap, net::SocketAddr};

use crate::values::{
    BearerToken, CaHash, Certificates, ClusterName, HttpsUrl, Kubeconfig, LabelValue, NodeLabel, NodeName, PoolName,
    PrivateKey, Taint,
};

/// `[[cluster]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// `name`: what it is called here.
    pub name: ClusterName,
    /// `servers`: its API servers, tried in this order. Empty only with a kubeconfig, which names one.
    pub servers: Vec<HttpsUrl>,
    /// `ca` or `ca_hash`: which authority its servers' certificates have to come from. None is the kubeconfig's, or those that the image
    /// believes.
    pub authority: Option<Authority>,
    /// `token`, `kubeconfig`, or `client_certificate` and `client_key`. None is the certificate that the node
    /// was given when it joined by a token.
    pub credential: Option<Credential>,
    /// `role`: what the node is there. Default node.
    pub role: ClusterRole,
    /// `pool`: with which nodes it shares upgrade slots. None is `default`.
    pub pool: Option<PoolName>,
    /// `node_name`: what it is called there. None is its hostname.
    pub node_name: Option<NodeName>,
    /// `node_labels`
    pub node_labels: BTreeMap<NodeLabel, LabelValue>,
    /// `node_taints`: when it registers itself; a node may not change them later.
    pub node_taints: Vec<Taint>,
}

/// Who signed the certificates of a cluster's servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authority {
    /// `ca`: one of these.
    Certificates(Certificates),
    /// `ca_hash`: the one with this public key, which the cluster reports itself.
    Hash(CaHash),
}

/// What a node joins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// `token`: a bootstrap token, for which it gets a certificate of its own.
    Token(BearerToken),
    /// `kubeconfig`
    Kubeconfig(Kubeconfig),
    /// `client_certificate` and `client_key`
    Certificate {
        /// `client_certificate`, with those between it and the authority.
        certificate: Certificates,
        /// `client_key`
        key: PrivateKey,
    },
}

/// What the node is in a cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ClusterRole {
    /// `"node"`: a Node, with its conditions and heartbeat, and a NodeOS.
    #[default]
    Node,
    /// `"kubelet"`: a node that runs the cluster's pods by the kubelet of `[kubelet]`, whose the Node is; and a NodeOS.
    Kubelet,
    /// `"report-only"`: a NodeOS alone, where the Node is somebody else's.
    ReportOnly,
}

impl ClusterRole {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Node, Self::Kubelet, Self::ReportOnly];

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Kubelet => "kubelet",
            Self::ReportOnly => "report-only",
        }
    }
}

/// `[metrics]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metrics {
    /// Where others than root may read them. None is nowhere.
    pub listen: Option<Listen>,
}

/// Where metrics are served over TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// `listen`
    pub address: SocketAddr,
    /// `certificate`, with those between it and the authority.
    pub certificate: Certificates,
    /// `key`
    pub key: PrivateKey,
}
