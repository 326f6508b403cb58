//! The settings as the rest of the node sees them: typed, complete, with defaults.

mod api;
mod cluster;
mod debug;
mod images;
mod kubelet;
mod network;
mod node;
mod registry;
mod update;

pub use self::{
    api::{Api, ApiListen, ApiRole},
    cluster::{Authority, Cluster, ClusterRole, Credential, Listen, Metrics},
    debug::{Debug, DebugShell},
    images::Images,
    kubelet::{Kubelet, Reserved},
    network::{Bond, BondMode, Dhcp, HashPolicy, Interface, InterfaceMatch, LacpRate, Network, Proxy, Route, Vlan},
    node::{Kernel, Log, LogLevel, Manifest, OciRuntime, Pods, Runtime, Time},
    registry::{Access, Credentials, Mirror, Registry},
    update::{Health, Identity, Signatures, TRIAL_DEADLINE, Update},
};
pub use crate::problem::{Place, Problem};
use crate::values::Hostname;

/// All settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// `hostname`: the machine's name. None is the image's, `ballast`, or what DHCP says.
    pub hostname: Option<Hostname>,
    /// `[network]`
    pub network: Network,
    /// `[time]`
    pub time: Time,
    /// `[kernel]`
    pub kernel: Kernel,
    /// `[[registry]]`, each host once, in the order in which they were named first.
    pub registries: Vec<Registry>,
    /// `[runtime]`
    pub runtime: Runtime,
    /// `[images]`
    pub images: Images,
    /// `[pods]`
    pub pods: Pods,
    /// `[update]`
    pub update: Update,
    /// `[health]`
    pub health: Health,
    /// `[[cluster]]`, each name once.
    pub clusters: Vec<Cluster>,
    /// `[kubelet]`
    pub kubelet: Kubelet,
    /// `[metrics]`
    pub metrics: Metrics,
    /// `[api]`
    pub api: Api,
    /// `[debug]`
    pub debug: Debug,
    /// `[log]`
    pub log: Log,
}
