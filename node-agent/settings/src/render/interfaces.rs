//! Interfaces as networkd reads them (systemd.network(5)).

use std::net::IpAddr;

use super::{HEADER, Reload, Rendered, joined, line, links};
use crate::{
    model::{Dhcp, Interface, InterfaceMatch, Network, Route},
    values::{Destination, LinkName},
};

/// What a network file has besides, as the image's own: nothing listens on a node that nobody asked for.
const QUIET: &str = "LLMNR=no\nMulticastDNS=no\nLinkLocalAddressing=ipv6\n";

pub(super) const NETWORKD: &str = "systemd-networkd.service";

/// Without an interface in the settings the image's own file holds. Of two that match, the first holds: the files' names keep the order.
/// The file of `network.interface` number INDEX is `10-ballast-INDEX.network`: the agent knows by it which of them an interface follows.
pub(super) fn files(network: &Network) -> Vec<Rendered> {
    let mut all = Vec::new();
    for (index, interface) in network.interfaces.iter().enumerate() {
        // networkd takes the first file that matches: one interface of several that a pattern means comes before the pattern.
        for (name, vlans) in links::parents_within(network, index) {
            let which = InterfaceMatch::Name(name.clone());
            let text = network_file(&Interface { which, ..interface.clone() }, &vlans);
            all.push(public(format!("10-ballast-{index:03}-{name}"), text));
        }
        let vlans = links::vlans_on(network, &interface.which);
        all.push(public(format!("10-ballast-{index:03}"), network_file(interface, &vlans)));
    }
    all
}

/// A network file of this name.
pub(super) fn public(name: String, text: String) -> Rendered {
    Rendered::public(format!("/etc/systemd/network/{name}.network"), text, Reload::Reload(NETWORKD))
}

/// The section that says which interface is meant.
pub(super) fn matching(which: &InterfaceMatch) -> String {
    let mut text = format!("{HEADER}[Match]\n");
    // A pattern, or an address that a bridge took over, must not catch what containers are made of.
    let is_exact = match which {
        InterfaceMatch::Name(name) => {
            line(&mut text, "Name", Some(name));
            !name.is_pattern()
        }
        InterfaceMatch::Mac(mac) => {
            line(&mut text, "MACAddress", Some(mac));
            false
        }
    };
    if !is_exact {
        text.push_str("Kind=!*\n");
    }
    text
}

pub(super) fn network_file(interface: &Interface, vlans: &[&LinkName]) -> String {
    let mut text = matching(&interface.which);
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
    vlans.iter().for_each(|vlan| line(&mut text, "VLAN", Some(vlan)));
    interface.addresses.iter().for_each(|address| line(&mut text, "Address", Some(address)));
    let outside = interface.gateway.filter(|gateway| !is_reached(interface, *gateway));
    line(&mut text, "Gateway", interface.gateway.filter(|_| outside.is_none()));
    interface.dns.iter().for_each(|server| line(&mut text, "DNS", Some(server)));
    line(&mut text, "Domains", joined(&interface.domains));
    if !interface.dhcp_default_route || interface.dhcp_metric.is_some() {
        for section in ["DHCPv4", "IPv6AcceptRA"] {
            text.push_str("\n[");
            text.push_str(section);
            text.push_str("]\n");
            line(&mut text, "UseGateway", (!interface.dhcp_default_route).then_some("no"));
            line(&mut text, "RouteMetric", interface.dhcp_metric);
        }
    }
    if let Some(gateway) = outside {
        text.push_str("\n[Route]\n");
        line(&mut text, "Gateway", Some(gateway));
        line(&mut text, "GatewayOnLink", Some("yes"));
    }
    interface.routes.iter().for_each(|route| route_section(&mut text, interface, route));
    text
}

/// Whether a network of the interface has `gateway` in it. Clouds give a /32 and a gateway outside of it, which the kernel only takes if
/// it is configured that the gateway is on the link.
fn is_reached(interface: &Interface, gateway: IpAddr) -> bool {
    let is_link_local = matches!(gateway, IpAddr::V6(gateway) if gateway.is_unicast_link_local());
    is_link_local || interface.addresses.iter().any(|address| address.contains(&gateway))
}

fn route_section(text: &mut String, interface: &Interface, route: &Route) {
    let destination = match (route.to, route.via) {
        (Destination::Network(network), _) => network.to_string(),
        (Destination::Default, Some(IpAddr::V6(_))) => "::/0".to_owned(),
        (Destination::Default, Some(IpAddr::V4(_)) | None) => "0.0.0.0/0".to_owned(),
    };
    text.push_str("\n[Route]\n");
    line(text, "Destination", Some(destination));
    line(text, "Gateway", route.via);
    let is_outside = route.via.is_some_and(|via| !is_reached(interface, via));
    line(text, "GatewayOnLink", is_outside.then_some("yes"));
    line(text, "Metric", route.metric);
}
