//! The table `[network]` and the interfaces in it.

use std::{net::IpAddr, ops::RangeInclusive};

use ipnet::IpNet;

use super::{links, reader::Reader};
use crate::{
    model::{Dhcp, Interface, InterfaceMatch, Network, Proxy, Route},
    tree::{Table, Value},
    values::{Destination, InterfaceName, Mac, Text},
};

/// The smallest packet of IPv4 (RFC 791), and the largest.
const MTUS: RangeInclusive<u32> = 68..=65535;

pub(super) fn network(table: &mut Reader<'_>) -> Network {
    let bonds = links::bonds(table);
    Network {
        interfaces: table.keyed_tables("interface", identity, interface),
        vlans: links::vlans(table, &bonds),
        bonds,
        dns: table.list("dns").or(Vec::new()),
        domains: table.list("domains").or(Vec::new()),
        proxy: table.table("proxy", |table| Proxy {
            http: table.get("http").given(),
            https: table.get("https").given(),
            no_proxy: table.list("no_proxy").or(Vec::new()),
        }),
        certificates: table.list("certificates").or(Vec::new()),
        pod_subnet: table.get("pod_subnet").given(),
    }
}

/// An interface's name, or its hardware address in its one form.
fn identity(table: &Table) -> Option<String> {
    let name = table.text("name").and_then(|name| InterfaceName::parse(name).ok()).map(|name| name.to_string());
    name.or_else(|| table.text("mac").and_then(|mac| Mac::parse(mac).ok()).map(|mac| mac.to_string()))
}

fn interface(table: &mut Reader<'_>) -> Option<Interface> {
    let name = table.get("name");
    let mac = table.get("mac");
    let which = match (name.given(), mac.given()) {
        (Some(name), None) => Some(InterfaceMatch::Name(name)),
        (None, Some(mac)) => Some(InterfaceMatch::Mac(mac)),
        (Some(_), Some(_)) => {
            table.refuse_table("has both a name and a mac", "one of them");
            None
        }
        (None, None) => {
            table.refuse_table("has neither a name nor a mac that fits", "one of them");
            None
        }
    };
    let dhcp = table.value("dhcp", "true, false, \"ipv4\" or \"ipv6\"", dhcp);
    let mut addresses: Vec<IpNet> = Vec::new();
    for address in table.list("addresses").or(Vec::new()) {
        // networkd would warn of it, where nobody looks.
        if addresses.contains(&address) {
            table.refuse_keys(&["addresses"], &format!("has {address} in it twice"), "each address once");
        } else {
            addresses.push(address);
        }
    }
    let mut routes: Vec<Route> = Vec::new();
    for route in table.tables("routes", route) {
        if routes.contains(&route) {
            table.refuse_keys(&["routes"], &format!("has a route to {} in it twice", route.to), "each route once");
        } else {
            routes.push(route);
        }
    }
    let interface = Interface {
        // Of a wrong value that holds what holds when nothing is said.
        dhcp: dhcp.or(if addresses.is_empty() { Dhcp::Both } else { Dhcp::No }),
        dhcp_default_route: table.switch("dhcp_default_route").or(true),
        dhcp_metric: table.number("dhcp_metric", 0..=u32::MAX).given(),
        addresses,
        gateway: table.get("gateway").given(),
        routes,
        dns: table.list("dns").or(Vec::new()),
        domains: table.list("domains").or(Vec::new()),
        mtu: table.number("mtu", MTUS).given(),
        required: table.switch("required").or(true),
        which: which?,
    };
    Some(interface)
}

fn dhcp(value: &Value) -> Result<Dhcp, String> {
    match (value.as_switch(), value.as_text()) {
        (Some(true), _) => Ok(Dhcp::Both),
        (Some(false), _) => Ok(Dhcp::No),
        (None, Some("ipv4")) => Ok(Dhcp::Ipv4),
        (None, Some("ipv6")) => Ok(Dhcp::Ipv6),
        (None, Some(text)) => Err(format!("is {text:?}")),
        (None, None) => Err(value.kind_clause()),
    }
}

fn route(table: &mut Reader<'_>) -> Option<Route> {
    let to: Option<Destination> = table.need("to");
    let via: Option<IpAddr> = table.get("via").given();
    let metric = table.number("metric", 0..=u32::MAX).given();
    let to = to?;
    let is_of_another_family = match (to, via) {
        (Destination::Network(network), Some(via)) => network.addr().is_ipv4() != via.is_ipv4(),
        (Destination::Default, Some(_)) | (_, None) => false,
    };
    if is_of_another_family {
        table.refuse_table("leads to a network of another family than its gateway's", "both IPv4 or both IPv6");
        return None;
    }
    if to == Destination::Default && via.is_none() {
        table.refuse_table("leads everywhere without a gateway", "via");
        return None;
    }
    Some(Route { to, via, metric })
}
