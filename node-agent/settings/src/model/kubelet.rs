//! `[kubelet]`: which kubelet runs here, and what is peculiar to it.

use std::net::IpAddr;

use crate::values::{ClusterDomain, KubeletConfig, Quantity};

/// `[kubelet]`; it runs where a cluster's `role` is `"kubelet"`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kubelet {
    /// `image`: the artifact with the kubelet. None: no kubelet runs.
    pub image: Option<String>,
    /// `cluster_dns`: the name servers of pods; none is the node's.
    pub cluster_dns: Vec<IpAddr>,
    /// `cluster_domain`: where services are. Default cluster.local.
    pub cluster_domain: ClusterDomain,
    /// `node_ip`: the node's address in the cluster. None is the one that the kubelet finds.
    pub node_ip: Option<IpAddr>,
    /// `[kubelet.reserved]`: what pods may not have of the node.
    pub reserved: Reserved,
    /// `config`: more keys of a KubeletConfiguration.
    pub config: KubeletConfig,
}

/// `[kubelet.reserved]`: amounts as Kubernetes writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reserved {
    /// `cpu`
    pub cpu: Option<Quantity>,
    /// `memory`
    pub memory: Option<Quantity>,
    /// `storage`: of /var.
    pub storage: Option<Quantity>,
}
