//! What a platform says of a machine by itself: OpenStack's `meta_data.json`, NoCloud's `meta-data`, a name alone.
//! Settings hold only the machine's name of it. It is not the operator's, so what else is in it is not named.

use super::text::Text;
use crate::tree::{Entry, Item, Table, Value};

/// The longest name that the kernel takes (`HOST_NAME_MAX`).
const MAX_HOSTNAME: usize = 64;

/// As the platforms call it, the one first that counts most.
const KEYS: [&str; 3] = ["local-hostname", "hostname", "name"];

/// The settings in the mapping `document`.
pub(super) fn settings(mut document: Table) -> Table {
    let entry = KEYS.iter().find_map(|key| document.remove(key));
    Table { entries: entry.into_iter().map(|entry| hostname(entry.item)).collect() }
}

/// The settings in a text that is a name and nothing else.
pub(super) fn name_alone(text: &Text<'_>) -> Table {
    let name = text.text.trim();
    let item = Item { value: Value::Text(name.to_owned()), origin: text.origin(0) };
    Table { entries: if name.is_empty() { Vec::new() } else { vec![hostname(item)] } }
}

fn hostname(mut item: Item) -> Entry {
    // The platform's own domain may make it longer than a name can be.
    if let Some(name) = item.value.as_text().filter(|name| name.len() > MAX_HOSTNAME) {
        item.value = Value::Text(name.split('.').next().unwrap_or_default().to_owned());
    }
    Entry { name: "hostname".to_owned(), origin: item.origin.clone(), item }
}
