//! What a platform says of a machine by itself: OpenStack's `meta_data.json`, NoCloud's `meta-data`, a name alone.
//! Settings hold the machine's name of it, and the interfaces if they are in it, as Hetzner has them. It is not the operator's, so
//! what else is in it is not named.

use std::net::IpAddr;

use super::{
    network::{self, Interfaces},
    text::Text,
};
use crate::{
    problem::Problem,
    tree::{Entry, Item, Origin, Table, Value},
    values::{Hostname, Text as _},
};

/// As the platforms call the name, the one first that counts most.
const KEYS: [&str; 3] = ["local-hostname", "hostname", "name"];

/// Interfaces in an older form, that of Debian's /etc/network/interfaces: in NoCloud's file, or behind a path on a config drive.
const OLD_NETWORK: [&str; 2] = ["network-interfaces", "network_config"];

/// The settings in the mapping `document`.
pub(super) fn settings(text: &Text<'_>, mut document: Table) -> Interfaces {
    let named = KEYS.iter().find_map(|key| document.remove(key)).filter(|entry| entry.item.value != Value::Nothing);
    let network = document.remove("network-config").map(|entry| entry.item.value);
    let mut found = match network {
        Some(Value::Table(network)) => network::network_config(text, network),
        Some(_) | None => Interfaces::default(),
    };
    found.add(named.map(|entry| hostname(entry.item)));
    for entry in OLD_NETWORK.iter().filter_map(|key| document.remove(key)) {
        let what = "is not taken: it describes interfaces in a form that this node does not read";
        found.notes.push(entry.origin.problem(&entry.name, what, "a network-config or network_data.json"));
    }
    found
}

/// The settings in a text that is a name and nothing else.
pub(super) fn name_alone(text: &Text<'_>) -> Interfaces {
    let mut found = Interfaces::default();
    let item = Item { value: Value::Text(text.text.to_owned()), origin: text.origin(0) };
    found.add(Some(hostname(item)).filter(|_| !text.text.trim().is_empty()));
    found
}

/// The part of a platform's name that a machine can have; a note if that is not all of it.
fn hostname(item: Item) -> (Option<Entry>, Option<Problem>) {
    let Item { value, origin } = item;
    let Some(given) = value.as_text() else {
        return (None, Some(origin.problem("hostname", &value.kind_clause(), Hostname::EXPECTED)));
    };
    let given = given.trim();
    match usable(given) {
        Some(name) => {
            let note = (!is_shortened_only(given, &name)).then(|| {
                origin.problem("hostname", &format!("of the platform's name {given:?}, {name:?} is taken"), "")
            });
            (Some(entry(name, origin)), note)
        }
        None => {
            let what = format!("the platform's name {given:?} is no host's name, and is not taken");
            (None, Some(origin.problem("hostname", &what, Hostname::EXPECTED)))
        }
    }
}

/// EC2 puts several domains behind each other where DHCP has several; nova and Proxmox allow `_` where the DNS does not; a platform's
/// own domain may make a name longer than the kernel takes.
fn usable(given: &str) -> Option<String> {
    let first = given.split_ascii_whitespace().next()?.trim_end_matches('.').replace('_', "-");
    if first.parse::<IpAddr>().is_ok() {
        return None;
    }
    let label = first.split('.').next().unwrap_or_default().to_owned();
    [first, label].into_iter().find(|name| Hostname::parse(name).is_ok())
}

/// Whether the platform's own domain is all that is missing.
fn is_shortened_only(given: &str, name: &str) -> bool {
    given.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        && !given.contains(|letter: char| letter.is_ascii_whitespace())
}

fn entry(name: String, origin: Origin) -> Entry {
    let item = Item { value: Value::Text(name), origin: origin.clone() };
    Entry { name: "hostname".to_owned(), origin, item }
}
