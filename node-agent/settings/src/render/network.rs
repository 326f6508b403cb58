//! Interfaces, names, certificates, the proxy.

use std::{fmt::Write, net::IpAddr};

use super::{CONTAINERD, Content, HEADER, PUBLIC, Reload, Rendered};
use crate::{
    model::{Dhcp, Interface, InterfaceMatch, Network, Pods, Proxy, Route},
    values::Destination,
};

/// What a network file has besides, as the image's own: nothing listens on a node that nobody asked for.
const QUIET: &str = "LLMNR=no\nMulticastDNS=no\nLinkLocalAddressing=ipv6\n";

/// The subnet of pods in the image's file.
const IMAGE_SUBNET: &str = "10.88.0.0/16";

/// The bridge of pods in it.
const IMAGE_BRIDGE: &str = "\"pods0\"";

/// systemd.network(5). Without an interface in the settings the image's own file holds. Of two that match, the first holds:
/// the files' names keep the order.
pub(super) fn interfaces(network: &Network) -> impl Iterator<Item = Rendered> {
    network.interfaces.iter().enumerate().map(|(index, interface)| {
        let path = format!("/etc/systemd/network/10-ballast-{index:03}.network");
        Rendered::public(path, network_file(interface), Reload::Reload("systemd-networkd.service"))
    })
}

fn network_file(interface: &Interface) -> String {
    let mut text = format!("{HEADER}[Match]\n");
    // A pattern, or an address that a bridge took over, must not catch what containers are made of.
    let (which, is_exact) = match &interface.which {
        InterfaceMatch::Name(name) => (format!("Name={name}\n"), !name.as_str().contains(['*', '?', '['])),
        InterfaceMatch::Mac(mac) => (format!("MACAddress={mac}\n"), false),
    };
    text.push_str(&which);
    if !is_exact {
        text.push_str("Kind=!*\n");
    }
    text.push_str("\n[Link]\n");
    line(&mut text, "MTUBytes", interface.mtu);
    line(&mut text, "RequiredForOnline", Some(if interface.required { "yes" } else { "no" }));
    let dhcp = match interface.dhcp {
        Dhcp::No => "no",
        Dhcp::Both => "yes",
        Dhcp::Ipv4 => "ipv4",
        Dhcp::Ipv6 => "ipv6",
    };
    text.push_str("\n[Network]\n");
    line(&mut text, "DHCP", Some(dhcp));
    text.push_str(QUIET);
    interface.addresses.iter().for_each(|address| line(&mut text, "Address", Some(address)));
    line(&mut text, "Gateway", interface.gateway);
    interface.dns.iter().for_each(|server| line(&mut text, "DNS", Some(server)));
    line(&mut text, "Domains", joined(&interface.domains));
    interface.routes.iter().for_each(|route| route_section(&mut text, route));
    text
}

fn route_section(text: &mut String, route: &Route) {
    let destination = match (route.to, route.via) {
        (Destination::Network(network), _) => network.to_string(),
        (Destination::Default, Some(IpAddr::V6(_))) => "::/0".to_owned(),
        (Destination::Default, Some(IpAddr::V4(_)) | None) => "0.0.0.0/0".to_owned(),
    };
    text.push_str("\n[Route]\n");
    line(text, "Destination", Some(destination));
    line(text, "Gateway", route.via);
    line(text, "Metric", route.metric);
}

/// resolved.conf(5)
pub(super) fn resolver(network: &Network) -> Option<Rendered> {
    if network.dns.is_empty() && network.domains.is_empty() {
        return None;
    }
    let mut text = format!("{HEADER}[Resolve]\n");
    line(&mut text, "DNS", joined(&network.dns));
    line(&mut text, "Domains", joined(&network.domains));
    let then = Reload::Restart("systemd-resolved.service");
    Some(Rendered::public("/etc/systemd/resolved.conf.d/20-ballast.conf", text, then))
}

/// The extra authorities in one file, and a link to it where Go (containerd) and rustls-native-certs (upgrades) look besides
/// the system's bundle. containerd reads it once, at its start.
pub(super) fn certificates(network: &Network) -> Vec<Rendered> {
    const BUNDLE: &str = "/etc/ballast/ca.pem";
    if network.certificates.is_empty() {
        return Vec::new();
    }
    let pem: String = network.certificates.iter().map(|certificates| certificates.as_str()).collect();
    let link = Rendered {
        path: "/etc/ssl/certs/ballast.pem".to_owned(),
        mode: PUBLIC,
        content: Content::Link(BUNDLE.to_owned()),
        then: Reload::Nothing,
    };
    vec![Rendered::public(BUNDLE, pem, Reload::Restart(CONTAINERD)), link]
}

/// The image's own network of pods, with its subnet, and a bridge of its own: one bridge cannot change its address, and pods that run keep
/// theirs. containerd sees the file change.
pub(super) fn pods(network: &Network) -> Option<Rendered> {
    const IMAGE: &str = include_str!("../../../../image/root/etc/cni/net.d/99-ballast.conflist");
    let subnet = network.pod_subnet?;
    let text =
        IMAGE.replace(IMAGE_SUBNET, &subnet.to_string()).replace(IMAGE_BRIDGE, &format!("\"{}\"", subnet.bridge()));
    Some(Rendered::public("/etc/cni/net.d/99-ballast.conflist", text, Reload::Nothing))
}

/// In place of the image's rules, which keep pods from the cloud's metadata service: none.
pub(super) fn firewall(pods: &Pods) -> Option<Rendered> {
    const NO_RULES: &str = "table inet ballast\ndelete table inet ballast\n";
    let then = Reload::Restart("ballast-firewall.service");
    pods.metadata_service.then(|| Rendered::public("/etc/ballast/firewall.nft", format!("{HEADER}{NO_RULES}"), then))
}

/// The environment of containerd (systemd.exec(5), `EnvironmentFile=`); the agent gives its own children the same. There may be a
/// password in it. What a proxy's URL may be made of means nothing within these quotes.
pub(super) fn proxy(proxy: &Proxy) -> Option<Rendered> {
    let variables = proxy.environment();
    if variables.is_empty() {
        return None;
    }
    let lines: String = variables.iter().map(|(name, value)| format!("{name}=\"{value}\"\n")).collect();
    Some(Rendered::private("/etc/ballast/proxy.env", format!("{HEADER}{lines}"), Reload::Restart(CONTAINERD)))
}

fn line(text: &mut String, key: &str, value: Option<impl std::fmt::Display>) {
    if let Some(value) = value {
        // Writing to a text cannot fail.
        _ = writeln!(text, "{key}={value}");
    }
}

fn joined<T: std::fmt::Display>(values: &[T]) -> Option<String> {
    let values: Vec<String> = values.iter().map(ToString::to_string).collect();
    Some(values.join(" ")).filter(|values| !values.is_empty())
}
