//! OpenStack's network_data.json: links, the networks on them, and services.

use super::{
    link::{Link, Made},
    plan::Plan,
    v1,
    value::{entry, keyed, scalar, scalar_of, tables, text, words},
};
use crate::tree::{Entry, Item, Origin, Table, Value};

/// Bonds' parameters, and the settings' words for them.
const BOND: [(&str, &str); 4] = [
    ("bond_mode", "mode"),
    ("bond_xmit_hash_policy", "hash_policy"),
    ("bond_hash_policy", "hash_policy"),
    ("bond_lacp_rate", "lacp_rate"),
];

pub(super) fn read(mut document: Table, plan: &mut Plan) {
    let mut all = |key: &str, plan: &mut Plan| {
        let (found, others) = document.remove(key).map(|entry| tables(entry.item)).unwrap_or_default();
        others.iter().for_each(|other| plan.refuse_kind(key, other, "a list of mappings"));
        found
    };
    let (links, networks, services) = (all("links", plan), all("networks", plan), all("services", plan));
    for (index, (table, origin)) in links.into_iter().enumerate() {
        link(&table, &format!("links[{index}]"), &origin, plan);
    }
    for (index, (table, origin)) in networks.into_iter().enumerate() {
        network(table, &format!("networks[{index}]"), &origin, plan);
    }
    plan.dns.extend(servers(services, "services"));
    // On a port that nothing is said of all holds as without a description; a bond and a VLAN are wanted for what is on them.
    for link in &mut plan.links {
        let has_network = link.dhcp4 || link.dhcp6 || !link.addresses.is_empty() || !link.routes.is_empty();
        link.is_listed = has_network || !matches!(link.made, Made::Port);
    }
}

fn link(table: &Table, path: &str, origin: &Origin, plan: &mut Plan) {
    let of = |key: &str| {
        let item = table.get(key).filter(|item| item.value != Value::Nothing);
        item.map(|item| keyed(item.clone(), &format!("{path}.{key}")))
    };
    let id = scalar_of(table, "id").unwrap_or_default();
    let mut name = of("name");
    let made = match scalar_of(table, "type").as_deref() {
        Some("bond") => {
            let bonds = plan.links.iter().filter(|link| matches!(link.made, Made::Bond { .. })).count();
            // OpenStack's own names are longer than the kernel's.
            name = name.or_else(|| Some(text(format!("bond{bonds}"), origin)));
            let parameters = BOND.iter().filter_map(|(theirs, own)| Some(entry(own, of(theirs)?))).collect();
            Made::Bond { members: of("bond_links").map(words).unwrap_or_default(), parameters }
        }
        Some("vlan") => {
            let tag = scalar_of(table, "vlan_id").unwrap_or_default();
            name = name.or_else(|| Some(text(format!("vlan{tag}"), origin)));
            Made::Vlan { link: of("vlan_link"), id: of("vlan_id") }
        }
        // Its type is how the host has it (`ovs`, `bridge`, `vif`, …): to the node it is a port.
        _ => Made::Port,
    };
    let mut link = Link::new(&id, path, origin, made);
    (link.name, link.mac, link.mtu) = (name, of("ethernet_mac_address"), of("mtu"));
    plan.links.push(link);
}

/// A network is a subnet of version 1 in other words.
fn network(table: Table, path: &str, origin: &Origin, plan: &mut Plan) {
    let id = scalar_of(&table, "link").unwrap_or_default();
    let mut subnet = Table::default();
    let mut dns = Vec::new();
    for Entry { name, origin, item } in table.entries {
        let renamed = |name: &str, item: Item| Entry { name: name.to_owned(), origin: origin.clone(), item };
        match &*name {
            "type" => {
                let kind = match scalar(&item.value).unwrap_or_default().as_str() {
                    "ipv4" | "ipv6" | "static" | "static6" => "static".to_owned(),
                    "ipv4_dhcp" => "dhcp4".to_owned(),
                    "ipv6_dhcp" => "dhcp6".to_owned(),
                    other => other.to_owned(),
                };
                subnet.entries.push(renamed("type", text(kind, &item.origin)));
            }
            "ip_address" => subnet.entries.push(renamed("address", item)),
            "netmask" | "gateway" | "routes" => subnet.entries.push(renamed(&name, item)),
            "dns_nameservers" => dns.extend(words(keyed(item, &format!("{path}.{name}")))),
            "services" => dns.extend(servers(tables(item).0, &format!("{path}.services"))),
            // What it is called, and what the platform calls the network.
            _ => {}
        }
    }
    // Routes may have services of their own, which say what those of the network say.
    for route in subnet.entries.iter_mut().filter(|entry| entry.name == "routes") {
        let Value::List(routes) = &mut route.item.value else { continue };
        for route in routes {
            let Value::Table(table) = &mut route.value else { continue };
            if let Some(services) = table.remove("services") {
                dns.extend(servers(tables(services.item).0, &format!("{path}.routes.services")));
            }
        }
    }
    let Some(at) = plan.links.iter().position(|link| link.id == id) else {
        return plan.refuse(&format!("{path}.link"), origin, "is none of the links; it does not apply", "a link's id");
    };
    let mut link = plan.links.swap_remove(at);
    v1::subnet(&mut link, subnet, path, origin, plan);
    for server in dns {
        if link.dns.iter().all(|known| known.value != server.value) {
            link.dns.push(server);
        }
    }
    plan.links.push(link);
    let last = plan.links.len() - 1;
    plan.links.swap(at, last);
}

/// The addresses of the name servers among `services`.
fn servers(services: Vec<(Table, Origin)>, path: &str) -> Vec<Item> {
    let is_dns = |table: &Table| scalar_of(table, "type").as_deref() == Some("dns");
    let address = |(table, _): (Table, Origin)| table.get("address").map(|item| keyed(item.clone(), path));
    services.into_iter().filter(|(table, _)| is_dns(table)).filter_map(address).collect()
}
