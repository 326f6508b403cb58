//! cloud-init's network-config, version 2: netplan's mappings, by kind and name.

use super::{
    link::{Link, Made},
    plan::Plan,
    value::{entry, is_on, keyed, scalar, tables, text, words},
};
use crate::tree::{Entry, Item, Origin, Table, Value};

/// Bonds' parameters that the settings have, and their words for them.
const BOND: [(&str, &str); 3] = [("mode", "mode"), ("transmit-hash-policy", "hash_policy"), ("lacp-rate", "lacp_rate")];

/// Kinds of interfaces that a node does not make.
const NOT_MADE: [&str; 7] = ["bridges", "wifis", "modems", "tunnels", "vrfs", "dummy-devices", "virtual-ethernets"];

pub(super) fn read(document: Table, plan: &mut Plan) {
    for Entry { name, origin, item } in document.entries {
        match (&*name, item.value) {
            ("ethernets" | "bonds" | "vlans", Value::Table(links)) => {
                for Entry { name: id, origin, item } in links.entries {
                    link(&name, &id, &origin, item, plan);
                }
            }
            (_, Value::Nothing) | ("renderer", _) => {}
            (kind, Value::Table(links)) if NOT_MADE.contains(&kind) => {
                if !links.entries.is_empty() {
                    plan.refuse(
                        kind,
                        &origin,
                        "is not made by this node; it does not apply",
                        "ethernets, bonds or vlans",
                    );
                }
            }
            ("ethernets" | "bonds" | "vlans", other) => {
                plan.refuse_kind(&name, &Item { value: other, origin }, "a mapping");
            }
            _ => plan.skip(name, &origin),
        }
    }
}

fn link(kind: &str, id: &str, origin: &Origin, item: Item, plan: &mut Plan) {
    let path = format!("{kind}.{id}");
    let table = match item.value.into_table() {
        Ok(table) => table,
        Err(Value::Nothing) => Table::default(),
        Err(value) => return plan.refuse_kind(&path, &Item { value, origin: item.origin }, "a mapping"),
    };
    let made = match kind {
        "bonds" => Made::Bond { members: Vec::new(), parameters: Vec::new() },
        "vlans" => Made::Vlan { link: None, id: None },
        _ => Made::Port,
    };
    let mut link = Link::new(id, &path, origin, made);
    for Entry { name, origin, item } in table.entries {
        key(&mut link, &name, &origin, item, plan);
    }
    plan.links.push(link);
}

fn key(link: &mut Link, name: &str, origin: &Origin, item: Item, plan: &mut Plan) {
    let path = link.path(name);
    let item = keyed(item, &path);
    if own_key(link, name, &item, plan) {
        return;
    }
    match (name, &item.value) {
        (_, Value::Nothing) | ("renderer" | "critical" | "dhcp-identifier", _) => {}
        ("dhcp4", value) => link.dhcp4 = is_on(value),
        ("dhcp6", value) => link.dhcp6 = is_on(value),
        ("accept-ra" | "wakeonlan", value) if is_on(value) == (name == "accept-ra") => {}
        ("addresses", Value::List(_)) => {
            let Value::List(addresses) = item.value else { return };
            // netplan may have a mapping of one address to its options.
            link.addresses.extend(addresses.into_iter().map(|address| {
                let one = address.value.as_table().filter(|table| table.entries.len() == 1);
                let name = one.and_then(|table| table.entries.first()).map(|entry| entry.name.clone());
                name.map_or_else(|| address.clone(), |name| text(name, &address.origin))
            }));
        }
        ("addresses", _) => plan.refuse_kind(&path, &item, "a list of addresses"),
        ("gateway4" | "gateway6", _) => link.gateways.push(item),
        ("mtu", _) => link.mtu = Some(item),
        ("optional", value) => {
            link.required = Some(Item { value: Value::Switch(!is_on(value)), origin: item.origin });
        }
        ("nameservers", Value::Table(_)) => {
            let Value::Table(table) = item.value else { return };
            for Entry { name, origin, item } in table.entries {
                let key = format!("{path}.{name}");
                match &*name {
                    "addresses" => link.dns.extend(words(keyed(item, &key))),
                    "search" => link.domains.extend(words(keyed(item, &key))),
                    _ => plan.skip(key, &origin),
                }
            }
        }
        ("routes", _) => routes(link, item, plan),
        _ => plan.skip(path, origin),
    }
}

/// A key that only this kind of interface has; whether it was one.
fn own_key(link: &mut Link, name: &str, item: &Item, plan: &mut Plan) -> bool {
    let path = link.path(name);
    match (&mut link.made, name, &item.value) {
        (Made::Port, "match", Value::Table(table)) => {
            let mac = table.get("macaddress").map(|mac| keyed(mac.clone(), &format!("{path}.macaddress")));
            let by_name = table.get("name").map(|name| keyed(name.clone(), &format!("{path}.name")));
            if mac.is_none() && by_name.is_none() {
                plan.refuse(&path, &item.origin, "says neither a macaddress nor a name", "one of them");
                link.is_listed = false;
            } else if let Some(driver) = table.get("driver") {
                plan.skip(format!("{path}.driver"), &driver.origin);
            }
            (link.mac, link.name) = (mac, by_name);
        }
        (Made::Bond { members, .. }, "interfaces", _) => *members = words(item.clone()),
        (Made::Bond { parameters, .. }, "parameters", Value::Table(table)) => {
            for Entry { name, origin, item } in &table.entries {
                let key = format!("{path}.{name}");
                match BOND.iter().find(|(known, _)| known == name) {
                    Some((_, own)) => parameters.push(entry(own, keyed(item.clone(), &key))),
                    None => plan.skip(key, origin),
                }
            }
        }
        (Made::Vlan { id, .. }, "id", _) => *id = Some(item.clone()),
        (Made::Vlan { link, .. }, "link", _) => *link = Some(item.clone()),
        _ => return false,
    }
    true
}

fn routes(link: &mut Link, item: Item, plan: &mut Plan) {
    let path = link.path("routes");
    let (routes, others) = tables(item);
    others.iter().for_each(|other| plan.refuse_kind(&path, other, "a list of mappings"));
    for (index, (route, origin)) in routes.into_iter().enumerate() {
        let path = format!("{path}[{index}]");
        let of = |key: &str| route.get(key).map(|item| keyed(item.clone(), &format!("{path}.{key}")));
        for Entry { name, origin, .. } in &route.entries {
            if !["to", "via", "metric", "on-link"].contains(&&**name) {
                plan.skip(format!("{path}.{name}"), origin);
            }
        }
        match of("to").filter(|to| scalar(&to.value).is_some()) {
            Some(to) => link.add_route(to, of("via"), of("metric")),
            None => plan.refuse(&path, &origin, "does not say where it leads", "to"),
        }
    }
}
