//! Values as descriptions of interfaces have them: looser than settings.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::tree::{Entry, Item, Origin, Table, Value};

/// As `item`, but problems call it `key`.
pub(super) fn keyed(mut item: Item, key: &str) -> Item {
    item.origin.key = Some(key.into());
    if let Value::List(items) = item.value {
        item.value = Value::List(items.into_iter().map(|item| keyed(item, key)).collect());
    }
    item
}

/// A text that is made here of what stands at `origin`.
pub(super) fn text(value: impl Into<String>, origin: &Origin) -> Item {
    Item { value: Value::Text(value.into()), origin: origin.clone() }
}

/// A key of the settings with its value.
pub(super) fn entry(name: &str, item: Item) -> Entry {
    Entry { name: name.to_owned(), origin: item.origin.clone(), item }
}

/// A list of the settings; None if nothing is in it.
pub(super) fn list(name: &str, items: Vec<Item>) -> Option<Entry> {
    let origin = items.first()?.origin.clone();
    Some(entry(name, Item { value: Value::List(items), origin }))
}

/// A text or a number, as a text.
pub(super) fn scalar(value: &Value) -> Option<String> {
    let text = value.as_text().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    text.or_else(|| value.as_integer().map(|number| number.to_string()))
}

/// The text or number `name` of `table`.
pub(super) fn scalar_of(table: &Table, name: &str) -> Option<String> {
    scalar(&table.get(name)?.value)
}

/// Whether something is switched on, as YAML 1.1 has it too.
pub(super) fn is_on(value: &Value) -> bool {
    let says = |text: &str| ["yes", "true", "on", "y"].iter().any(|word| text.eq_ignore_ascii_case(word));
    value.as_switch().unwrap_or_else(|| value.as_text().is_some_and(says))
}

/// The items of a list, or the words of a text in which they stand behind each other.
pub(super) fn words(item: Item) -> Vec<Item> {
    if let Some(all) = item.value.as_text() {
        let separators = |letter: char| letter == ',' || letter.is_ascii_whitespace();
        return all.split(separators).filter(|word| !word.is_empty()).map(|word| text(word, &item.origin)).collect();
    }
    items(item)
}

/// What is in a list; what is none is alone.
fn items(item: Item) -> Vec<Item> {
    if let Value::List(items) = item.value {
        return items;
    }
    if item.value == Value::Nothing { Vec::new() } else { vec![item] }
}

/// The tables in a list; what else is in it, or instead of it, is given back as it is.
pub(super) fn tables(item: Item) -> (Vec<(Table, Origin)>, Vec<Item>) {
    let (mut tables, mut others) = (Vec::new(), Vec::new());
    for Item { value, origin } in items(item) {
        match value.into_table() {
            Ok(table) => tables.push((table, origin)),
            Err(value) => others.push(Item { value, origin }),
        }
    }
    (tables, others)
}

/// `ADDRESS/PREFIX`, of an address that may have its prefix, and a netmask or prefix beside it. Without either it is that of the
/// network's class as cloud-init has it. What is no address stays as it is.
pub(super) fn with_prefix(address: &str, netmask: Option<&str>) -> String {
    let address = address.trim();
    if address.contains('/') {
        return address.to_owned();
    }
    let Ok(ip) = address.parse::<IpAddr>() else { return address.to_owned() };
    let usual = if ip.is_ipv4() { "24" } else { "64" }.to_owned();
    let prefix = netmask.map_or(usual, |netmask| prefix_of(netmask).unwrap_or_else(|| netmask.to_owned()));
    format!("{address}/{prefix}")
}

/// The prefix that a netmask is.
fn prefix_of(netmask: &str) -> Option<String> {
    let v4 = netmask.parse::<Ipv4Addr>().ok().and_then(|mask| ipnet::ipv4_mask_to_prefix(mask).ok());
    let v6 = || netmask.parse::<Ipv6Addr>().ok().and_then(|mask| ipnet::ipv6_mask_to_prefix(mask).ok());
    v4.or_else(v6).map(|prefix| prefix.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_gets_its_prefix_from_wherever_it_is() {
        for (address, netmask, expected) in [
            ("10.0.2.77", Some("255.255.255.0"), "10.0.2.77/24"),
            ("10.0.2.77", Some("255.255.255.255"), "10.0.2.77/32"),
            ("10.0.2.77/16", Some("255.255.255.0"), "10.0.2.77/16"),
            ("10.0.2.77", Some("20"), "10.0.2.77/20"),
            ("10.0.2.77", None, "10.0.2.77/24"),
            ("fd00::1", None, "fd00::1/64"),
            ("fd00::1", Some("ffff:ffff:ffff::"), "fd00::1/48"),
            ("10.0.2.77", Some("255.0.255.0"), "10.0.2.77/255.0.255.0"),
            ("dhcp", None, "dhcp"),
        ] {
            assert_eq!(with_prefix(address, netmask), expected);
        }
    }
}
