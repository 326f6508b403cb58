//! Bonds and VLANs: what networkd makes (systemd.netdev(5)), and who belongs to them.

use std::collections::BTreeSet;

use super::{
    HEADER, Reload, Rendered,
    interfaces::{NETWORKD, matching, network_file, public},
    line,
};
use crate::{
    model::{Bond, Dhcp, HashPolicy, Interface, InterfaceMatch, LacpRate, Network, Vlan},
    values::{InterfaceName, LinkName, Text},
};

/// How often a bond looks whether its members have a carrier. The kernel's own is never: a cable that is pulled would not be noticed.
const MONITOR_INTERVAL: &str = "100ms";

pub(super) fn files(network: &Network) -> Vec<Rendered> {
    let mut all: Vec<Rendered> = network.bonds.iter().map(bond).collect();
    all.extend(network.vlans.iter().map(vlan));
    for bond in &network.bonds {
        let members = bond.interfaces.iter().enumerate();
        all.extend(
            members.map(|(index, which)| public(format!("05-ballast-{}-{index:03}", bond.name), member(bond, which))),
        );
    }
    all.extend(parents_without_settings(network));
    let made = network.bonds.iter().map(|bond| &bond.name).chain(network.vlans.iter().map(|vlan| &vlan.name));
    for name in made.filter(|name| !is_named(network, name.as_str())) {
        let Some(which) = which(name) else { continue };
        let vlans = vlans_on(network, &which);
        // As every port does, unless it only carries others.
        let dhcp = if vlans.is_empty() { Dhcp::Both } else { Dhcp::No };
        all.push(public(format!("20-ballast-{name}"), network_file(&plain(which, dhcp), &vlans)));
    }
    all
}

fn netdev(name: &LinkName, text: String) -> Rendered {
    let path = format!("/etc/systemd/network/05-ballast-{name}.netdev");
    Rendered::public(path, text, Reload::ReloadOrReboot(NETWORKD))
}

fn bond(bond: &Bond) -> Rendered {
    let mut text = format!("{HEADER}[NetDev]\nName={}\nKind=bond\n\n[Bond]\n", bond.name);
    line(&mut text, "Mode", Some(bond.mode.name()));
    line(&mut text, "MIIMonitorSec", Some(MONITOR_INTERVAL));
    line(&mut text, "TransmitHashPolicy", bond.hash_policy.map(HashPolicy::name));
    line(&mut text, "LACPTransmitRate", bond.lacp_rate.map(LacpRate::name));
    netdev(&bond.name, text)
}

fn vlan(vlan: &Vlan) -> Rendered {
    let text = format!("{HEADER}[NetDev]\nName={}\nKind=vlan\n\n[VLAN]\nId={}\n", vlan.name, vlan.id);
    netdev(&vlan.name, text)
}

/// A member has nothing of its own, and loses its hardware address to the bond: it is known by the one that it was made with.
fn member(bond: &Bond, which: &InterfaceMatch) -> String {
    let matching = matching(which).replace("\nMACAddress=", "\nPermanentMACAddress=");
    let link = "[Link]\nRequiredForOnline=no\n";
    format!("{matching}\n{link}\n[Network]\nBond={}\nLLMNR=no\nMulticastDNS=no\nLinkLocalAddressing=no\n", bond.name)
}

/// The VLANs on the very interface that `which` means.
pub(super) fn vlans_on<'n>(network: &'n Network, which: &InterfaceMatch) -> Vec<&'n LinkName> {
    let is_pattern = matches!(which, InterfaceMatch::Name(name) if name.is_pattern());
    let on = network.vlans.iter().filter(|vlan| !is_pattern && vlan.interface == *which);
    on.map(|vlan| &vlan.name).collect()
}

/// Interfaces with VLANs that no entry names, and of which the pattern number `index` is the first that means them, with their VLANs.
pub(super) fn parents_within(network: &Network, index: usize) -> Vec<(InterfaceName, Vec<&LinkName>)> {
    let parents = parents(network).into_iter().filter(|name| pattern_of(network, name) == Some(index));
    parents.map(|name| (name.clone(), vlans_on(network, &InterfaceMatch::Name(name)))).collect()
}

/// Those of which the settings say nothing else: they carry their VLANs.
fn parents_without_settings(network: &Network) -> Vec<Rendered> {
    let named = parents(network).into_iter().filter(|name| pattern_of(network, name).is_none());
    let mut all: Vec<(String, InterfaceMatch)> =
        named.map(|name| (name.to_string(), InterfaceMatch::Name(name))).collect();
    let macs: BTreeSet<String> = network.vlans.iter().filter_map(|vlan| mac(&vlan.interface)).collect();
    for mac in macs {
        let which = network.vlans.iter().map(|vlan| &vlan.interface).find(|which| which.to_string() == mac);
        let is_named = network.interfaces.iter().any(|interface| Some(&interface.which) == which);
        all.extend(which.filter(|_| !is_named).map(|which| (mac.replace(':', ""), which.clone())));
    }
    let file = |(name, which): (String, InterfaceMatch)| {
        let text = network_file(&plain(which.clone(), Dhcp::No), &vlans_on(network, &which));
        public(format!("08-ballast-{name}"), text)
    };
    all.into_iter().map(file).collect()
}

fn mac(which: &InterfaceMatch) -> Option<String> {
    match which {
        InterfaceMatch::Mac(mac) => Some(mac.to_string()),
        InterfaceMatch::Name(_) => None,
    }
}

/// The names of interfaces with VLANs that are there without us, each once, but for those with an entry of their own.
fn parents(network: &Network) -> Vec<InterfaceName> {
    let mut all: Vec<InterfaceName> = Vec::new();
    for vlan in &network.vlans {
        let InterfaceMatch::Name(name) = &vlan.interface else { continue };
        let is_made = network.bonds.iter().map(|bond| &bond.name).chain(network.vlans.iter().map(|vlan| &vlan.name));
        let is_made = is_made.into_iter().any(|made| made.as_str() == name.as_str());
        if !is_made && !is_named(network, name.as_str()) && !all.contains(name) {
            all.push(name.clone());
        }
    }
    all
}

/// The first pattern that means `name`.
fn pattern_of(network: &Network, name: &InterfaceName) -> Option<usize> {
    let means =
        |interface: &Interface| matches!(&interface.which, InterfaceMatch::Name(one) if one.matches(name.as_str()));
    network.interfaces.iter().position(means)
}

/// Whether an entry has this very name.
fn is_named(network: &Network, name: &str) -> bool {
    let is = |interface: &Interface| matches!(&interface.which, InterfaceMatch::Name(one) if one.as_str() == name);
    network.interfaces.iter().any(is)
}

fn which(name: &LinkName) -> Option<InterfaceMatch> {
    InterfaceName::parse(name.as_str()).ok().map(InterfaceMatch::Name)
}

/// An interface of which nothing is said.
fn plain(which: InterfaceMatch, dhcp: Dhcp) -> Interface {
    Interface {
        which,
        dhcp,
        dhcp_default_route: true,
        dhcp_metric: None,
        addresses: Vec::new(),
        gateway: None,
        routes: Vec::new(),
        dns: Vec::new(),
        domains: Vec::new(),
        mtu: None,
        required: true,
    }
}
