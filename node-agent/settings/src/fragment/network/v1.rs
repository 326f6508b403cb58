//! cloud-init's network-config, version 1: a list of interfaces, name servers and routes.

use std::net::IpAddr;

use super::{
    link::{Link, Made},
    plan::Plan,
    value::{entry, keyed, scalar_of, tables, text, with_prefix, words},
};
use crate::tree::{Entry, Item, Origin, Table, Value};

/// Bonds' parameters, with and without what some write in front, and the settings' words for them.
const BOND: [(&str, &str); 3] = [("mode", "mode"), ("xmit_hash_policy", "hash_policy"), ("lacp_rate", "lacp_rate")];

pub(super) fn read(mut document: Table, plan: &mut Plan) {
    let Some(config) = document.remove("config") else { return };
    if matches!(&config.item.value, Value::Text(text) if text == "disabled") {
        return;
    }
    let (items, others) = tables(config.item);
    others.iter().for_each(|other| plan.refuse_kind("config", other, "a list of mappings"));
    // Those that speak of others come last.
    let mut later = Vec::new();
    for (index, (table, origin)) in items.into_iter().enumerate() {
        let path = format!("config[{index}]");
        let kind = scalar_of(&table, "type").unwrap_or_default();
        match kind.as_str() {
            "physical" | "ethernet" | "infiniband" => link(table, &path, &origin, Made::Port, plan),
            "bond" => bond(table, &path, &origin, plan),
            "vlan" => vlan(table, &path, &origin, plan),
            "nameserver" | "route" => later.push((kind, table, path, origin)),
            "loopback" => {}
            _ => {
                let what = format!("is {kind:?}, which this node does not make; it does not apply");
                plan.refuse(&format!("{path}.type"), &origin, &what, "physical, bond, vlan, nameserver or route");
            }
        }
    }
    for (kind, table, path, origin) in later {
        if kind == "route" { route(table, &path, &origin, plan) } else { nameserver(table, &path, plan) }
    }
}

/// Reads what all kinds of interfaces have in common; `made` says which it is.
fn link(table: Table, path: &str, origin: &Origin, made: Made, plan: &mut Plan) {
    let name = scalar_of(&table, "name");
    let id = name.clone().or_else(|| scalar_of(&table, "mac_address")).unwrap_or_default();
    let mut link = Link::new(&id, path, origin, made);
    for Entry { name: key, origin, item } in table.entries {
        match (&*key, &item.value) {
            (_, Value::Nothing) | ("type" | "keep_configuration", _) => {}
            ("name", _) => link.name = Some(link.keyed(item, "name")),
            ("mac_address", _) if matches!(link.made, Made::Port) => link.mac = Some(link.keyed(item, "mac_address")),
            ("mtu", _) => link.mtu = Some(link.keyed(item, "mtu")),
            ("subnets", _) => subnets(&mut link, item, plan),
            // networkd accepts them unless it is asked not to.
            ("accept-ra", Value::Switch(true)) => {}
            _ => plan.skip(link.path(&key), &origin),
        }
    }
    plan.links.push(link);
}

fn bond(mut table: Table, path: &str, origin: &Origin, plan: &mut Plan) {
    let members =
        table.remove("bond_interfaces").map(|entry| words(keyed(entry.item, &format!("{path}.bond_interfaces"))));
    let mut parameters = Vec::new();
    let params = table.remove("params").and_then(|entry| entry.item.value.into_table().ok()).unwrap_or_default();
    for Entry { name, origin, item } in params.entries {
        let bare = name.strip_prefix("bond-").or_else(|| name.strip_prefix("bond_")).unwrap_or(&name).replace('-', "_");
        let key = format!("{path}.params.{name}");
        match BOND.iter().find(|(known, _)| *known == bare) {
            Some((_, own)) => parameters.push(entry(own, keyed(item, &key))),
            None => plan.skip(key, &origin),
        }
    }
    link(table, path, origin, Made::Bond { members: members.unwrap_or_default(), parameters }, plan);
}

fn vlan(mut table: Table, path: &str, origin: &Origin, plan: &mut Plan) {
    let mut take = |key: &str| table.remove(key).map(|entry| keyed(entry.item, &format!("{path}.{key}")));
    let (below, id) = (take("vlan_link"), take("vlan_id"));
    link(table, path, origin, Made::Vlan { link: below, id }, plan);
}

fn subnets(link: &mut Link, item: Item, plan: &mut Plan) {
    let (subnets, others) = tables(item);
    let path = link.path("subnets");
    others.iter().for_each(|other| plan.refuse_kind(&path, other, "a list of mappings"));
    for (index, (subnet, origin)) in subnets.into_iter().enumerate() {
        self::subnet(link, subnet, &format!("{path}[{index}]"), &origin, plan);
    }
}

/// One of an interface's `subnets`; OpenStack's networks have the same form after a change of words.
pub(super) fn subnet(link: &mut Link, mut subnet: Table, path: &str, origin: &Origin, plan: &mut Plan) {
    let kind = scalar_of(&subnet, "type").unwrap_or_default();
    match kind.as_str() {
        "dhcp" | "dhcp4" => link.dhcp4 = true,
        "dhcp6" | "ipv6_dhcpv6-stateful" => link.dhcp6 = true,
        // networkd takes part in both when a router says so.
        "ipv6_slaac" | "ipv6_dhcpv6-stateless" | "manual" | "static" | "static6" => {}
        _ => {
            let what = format!("is {kind:?}, which this node does not know");
            let expected =
                "static, static6, dhcp, dhcp4, dhcp6, ipv6_slaac, ipv6_dhcpv6-stateless, -stateful or manual";
            plan.refuse(&format!("{path}.type"), origin, &what, expected);
        }
    }
    let netmask = scalar_of(&subnet, "netmask").or_else(|| scalar_of(&subnet, "prefix"));
    if let Some(address) = scalar_of(&subnet, "address") {
        let item = text(with_prefix(&address, netmask.as_deref()), origin);
        link.addresses.push(keyed(item, &format!("{path}.address")));
    }
    let metric = subnet.remove("metric").map(|entry| keyed(entry.item, &format!("{path}.metric")));
    for Entry { name, origin, item } in subnet.entries {
        let key = format!("{path}.{name}");
        match &*name {
            _ if item.value == Value::Nothing => {}
            "type" | "address" | "netmask" | "prefix" | "control" | "broadcast" | "ipv4" | "ipv6" => {}
            "gateway" => {
                let is_v6 = item.value.as_text().is_some_and(|gateway| gateway.contains(':'));
                let to = text(if is_v6 { "::/0" } else { "0.0.0.0/0" }, &item.origin);
                link.add_route(keyed(to, &key), Some(keyed(item, &key)), metric.clone());
            }
            "dns_nameservers" => link.dns.extend(words(keyed(item, &key))),
            "dns_search" => link.domains.extend(words(keyed(item, &key))),
            "routes" => {
                let (routes, others) = tables(item);
                others.iter().for_each(|other| plan.refuse_kind(&key, other, "a list of mappings"));
                for (index, (route, origin)) in routes.into_iter().enumerate() {
                    let key = format!("{key}[{index}]");
                    match destination(&route, &origin, &key) {
                        Some((to, via, metric)) => link.add_route(to, via, metric),
                        None => plan.refuse(&key, &origin, "does not say where it leads", "destination or network"),
                    }
                }
            }
            _ => plan.skip(key, &origin),
        }
    }
}

/// Where a route leads, over whom, and its metric.
fn destination(route: &Table, origin: &Origin, path: &str) -> Option<(Item, Option<Item>, Option<Item>)> {
    let to = ["destination", "network", "address"].iter().find_map(|key| scalar_of(route, key))?;
    let netmask = scalar_of(route, "netmask").or_else(|| scalar_of(route, "prefix"));
    let to = if to == "default" { to } else { with_prefix(&to, netmask.as_deref()) };
    let of = |key: &str| route.get(key).filter(|item| item.value != Value::Nothing).cloned();
    let via = of("gateway").map(|item| keyed(item, &format!("{path}.gateway")));
    let metric = of("metric").map(|item| keyed(item, &format!("{path}.metric")));
    Some((keyed(text(to, origin), path), via, metric))
}

/// A route that is no interface's: it is over that which reaches its gateway.
fn route(table: Table, path: &str, origin: &Origin, plan: &mut Plan) {
    let Some((to, via, metric)) = destination(&table, origin, path) else {
        return plan.refuse(path, origin, "does not say where it leads", "destination");
    };
    let gateway = via.as_ref().and_then(|via| via.value.as_text()?.parse::<IpAddr>().ok());
    let link = gateway.and_then(|gateway| plan.links.iter_mut().find(|link| link.reaches(gateway)));
    match link {
        Some(link) => link.add_route(to, via, metric),
        None => plan.refuse(path, origin, "has a gateway that no interface reaches; it does not apply", ""),
    }
}

fn nameserver(mut table: Table, path: &str, plan: &mut Plan) {
    let mut all = |keys: [&str; 2]| {
        let entry = keys.iter().find_map(|key| table.remove(key));
        entry.map(|entry| words(keyed(entry.item, &format!("{path}.{}", entry.name)))).unwrap_or_default()
    };
    let (dns, domains) = (all(["address", "addresses"]), all(["search", "dns_search"]));
    match scalar_of(&table, "interface").and_then(|id| plan.link(&id)) {
        Some(link) => {
            link.dns.extend(dns);
            link.domains.extend(domains);
        }
        None => {
            plan.dns.extend(dns);
            plan.domains.extend(domains);
        }
    }
}
