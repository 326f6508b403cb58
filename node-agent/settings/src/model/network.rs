//! `[network]` and `[[network.interface]]`.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::values::{Certificates, Destination, Domain, InterfaceName, LinkName, Mac, NoProxy, PodSubnet, ProxyUrl};

/// `[network]`: how the node reaches others, and whom it believes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// `[[network.interface]]`, each name or address once. Where there is none, every Ethernet port asks DHCP.
    pub interfaces: Vec<Interface>,
    /// `[[network.bond]]`, each name once.
    pub bonds: Vec<Bond>,
    /// `[[network.vlan]]`, each name once, and none that is a bond's.
    pub vlans: Vec<Vlan>,
    /// `dns`: name servers beside those of the interfaces.
    pub dns: Vec<IpAddr>,
    /// `domains`: where short names are looked for.
    pub domains: Vec<Domain>,
    /// `[network.proxy]`
    pub proxy: Proxy,
    /// `certificates`: authorities that are believed beside the image's, by the runtime and for upgrades.
    pub certificates: Vec<Certificates>,
    /// `pod_subnet`: where pods without the node's network get their addresses, unless a cluster's network gives them. None is
    /// 10.88.0.0/16.
    pub pod_subnet: Option<PodSubnet>,
}

/// `[network.proxy]`: for pulls and upgrades.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxy {
    /// `http`: for what is fetched over plain HTTP.
    pub http: Option<ProxyUrl>,
    /// `https`: for what is fetched over TLS.
    pub https: Option<ProxyUrl>,
    /// `no_proxy`: what is reached without it.
    pub no_proxy: Vec<NoProxy>,
}

impl std::fmt::Display for InterfaceMatch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => name.fmt(formatter),
            Self::Mac(mac) => mac.fmt(formatter),
        }
    }
}

impl Proxy {
    /// As the environment of those who fetch has it, since curl made these names known; nothing without a proxy. There may be a
    /// password among it.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let urls = [("HTTP_PROXY", &self.http), ("HTTPS_PROXY", &self.https)];
        let urls = urls.into_iter().filter_map(|(name, url)| Some((name, url.as_ref()?.reveal().to_owned())));
        let mut variables: Vec<(&str, String)> = urls.collect();
        if !variables.is_empty() && !self.no_proxy.is_empty() {
            let places: Vec<&str> = self.no_proxy.iter().map(|place| place.as_str()).collect();
            variables.push(("NO_PROXY", places.join(",")));
        }
        variables
    }
}

/// `[[network.interface]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// `name` or `mac`: which one it is.
    pub which: InterfaceMatch,
    /// `dhcp`: which addresses it asks for. If nothing is said: both, without `addresses`; none, with them.
    pub dhcp: Dhcp,
    /// `dhcp_default_route`: whether DHCP and router advertisements give it a default route. Default true.
    pub dhcp_default_route: bool,
    /// `dhcp_metric`: the metric of the routes that they give it. None is networkd's, 1024.
    pub dhcp_metric: Option<u32>,
    /// `addresses`
    pub addresses: Vec<IpNet>,
    /// `gateway`: the way to everywhere else, reached directly at this interface, also if it lies outside its networks; that of the other family is a route `{ to = "::/0", via = … }`.
    pub gateway: Option<IpAddr>,
    /// `routes`
    pub routes: Vec<Route>,
    /// `dns`: name servers that are reached through it.
    pub dns: Vec<IpAddr>,
    /// `domains`: where short names are looked for, at those servers.
    pub domains: Vec<Domain>,
    /// `mtu`: bytes of the largest packet, 68 to 65535 (1280 and more for IPv6). None is what the port or DHCP says.
    pub mtu: Option<u32>,
    /// `required`: whether the node counts as online only with it. Default true.
    pub required: bool,
}

/// Which interface is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InterfaceMatch {
    /// By its name; a pattern may mean several.
    Name(InterfaceName),
    /// By its hardware address.
    Mac(Mac),
}

/// `[[network.bond]]`: several interfaces as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bond {
    /// `name`
    pub name: LinkName,
    /// `interfaces`: its members, by name or by hardware address; at least one, and none that is in two bonds.
    pub interfaces: Vec<InterfaceMatch>,
    /// `mode`. Default active-backup, which no switch has to know of.
    pub mode: BondMode,
    /// `hash_policy`: by what packets are spread over the members. None is the kernel's, layer2.
    pub hash_policy: Option<HashPolicy>,
    /// `lacp_rate`: how often the switch is asked to say that it is there. None is the kernel's, slow.
    pub lacp_rate: Option<LacpRate>,
}

/// `[[network.vlan]]`: a tagged network on another interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vlan {
    /// `name`
    pub name: LinkName,
    /// `id`: 1 to 4094. If it is not said: what stands behind the last point of the name.
    pub id: u32,
    /// `interface`: on which one it is, by name or by hardware address. If it is not said: what stands before the last point of the name.
    pub interface: InterfaceMatch,
}

/// How a bond uses its members (Documentation/networking/bonding.rst).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BondMode {
    /// One after the other.
    BalanceRr,
    /// One, and another when it fails.
    #[default]
    ActiveBackup,
    /// By the hash of a packet.
    BalanceXor,
    /// All at once.
    Broadcast,
    /// LACP, which the switch has to speak.
    Lacp,
    /// What is sent is spread.
    BalanceTlb,
    /// What is sent and received is spread.
    BalanceAlb,
}

impl BondMode {
    /// All of them, in the kernel's order.
    pub const ALL: [Self; 7] = [
        Self::BalanceRr,
        Self::ActiveBackup,
        Self::BalanceXor,
        Self::Broadcast,
        Self::Lacp,
        Self::BalanceTlb,
        Self::BalanceAlb,
    ];

    /// As it is written, here and for networkd.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BalanceRr => "balance-rr",
            Self::ActiveBackup => "active-backup",
            Self::BalanceXor => "balance-xor",
            Self::Broadcast => "broadcast",
            Self::Lacp => "802.3ad",
            Self::BalanceTlb => "balance-tlb",
            Self::BalanceAlb => "balance-alb",
        }
    }
}

/// By what packets are spread over a bond's members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashPolicy {
    /// Hardware addresses.
    Layer2,
    /// Hardware and IP addresses.
    Layer23,
    /// IP addresses and ports.
    Layer34,
    /// As layer2+3, of what is within a tunnel.
    Encap23,
    /// As layer3+4, of what is within a tunnel.
    Encap34,
}

impl HashPolicy {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Layer2, Self::Layer23, Self::Layer34, Self::Encap23, Self::Encap34];

    /// As it is written, here and for networkd.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Layer2 => "layer2",
            Self::Layer23 => "layer2+3",
            Self::Layer34 => "layer3+4",
            Self::Encap23 => "encap2+3",
            Self::Encap34 => "encap3+4",
        }
    }
}

/// How often a partner says that it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LacpRate {
    /// Every 30 s.
    Slow,
    /// Every second.
    Fast,
}

impl LacpRate {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Slow, Self::Fast];

    /// As it is written, here and for networkd.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Fast => "fast",
        }
    }
}

/// Which addresses an interface asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dhcp {
    /// `false`
    No,
    /// `true`
    Both,
    /// `"ipv4"`
    Ipv4,
    /// `"ipv6"`
    Ipv6,
}

/// One of `routes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// `to`
    pub to: Destination,
    /// `via`: the gateway; None is directly on the link.
    pub via: Option<IpAddr>,
    /// `metric`: the lowest of several wins. None is the kernel's choice.
    pub metric: Option<u32>,
}
