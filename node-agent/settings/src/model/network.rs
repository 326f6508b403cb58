//! `[network]` and `[[network.interface]]`.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::values::{Certificates, Destination, Domain, InterfaceName, Mac, NoProxy, PodSubnet, ProxyUrl};

/// `[network]`: how the node reaches others, and whom it believes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Network {
    /// `[[network.interface]]`, each name or address once. Where there is none, every Ethernet port asks DHCP.
    pub interfaces: Vec<Interface>,
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
    /// `addresses`
    pub addresses: Vec<IpNet>,
    /// `gateway`: the way to everywhere else; that of the other family is a route `{ to = "::/0", via = … }`.
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
