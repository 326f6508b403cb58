//! The secrets of a document, to find them elsewhere.

use toml_edit::{Item, TableLike, Value};

use super::parse;
use crate::schema::{KEYS, Key, Shape};

/// The password of a misspelt key is no shorter; a word that is may stand anywhere.
const MIN_UNKNOWN: usize = 8;

/// Every text in `document` that nobody may see: what is a secret by its key, the user and password of a proxy, and long texts of keys that
/// nobody knows, which may be misspelt. Of a document that is no TOML, every long text between quotes.
pub fn secrets(document: &str) -> Vec<String> {
    let mut found = Vec::new();
    match parse(document) {
        Ok(mut document) => of_table(document.as_table_mut(), KEYS, &mut found),
        Err(_) => found.extend(document.split(['"', '\'']).filter(|text| text.len() >= MIN_UNKNOWN).map(str::to_owned)),
    }
    found.retain(|text| !text.trim().is_empty());
    found
}

fn of_table(table: &mut dyn TableLike, keys: &[Key], found: &mut Vec<String>) {
    for (name, item) in table.iter_mut() {
        match keys.iter().find(|key| key.name == name.get()).map(|key| key.shape) {
            None => unknown(item, found),
            Some(Shape::Secret) => found.extend(item.as_str().map(str::to_owned)),
            Some(Shape::ProxyUrl) => {
                let user = item.as_str().and_then(|url| Some(url.rsplit_once('@')?.0.rsplit('/').next()?.to_owned()));
                let password = user.as_deref().and_then(|user| Some(user.split_once(':')?.1.to_owned()));
                found.extend(user.into_iter().chain(password));
            }
            Some(Shape::Table(keys) | Shape::List(keys) | Shape::TextsOrTables(_, keys) | Shape::Keyed(_, keys)) => {
                of_item(item, keys, found);
            }
            Some(_) => {}
        }
    }
}

fn of_item(item: &mut Item, keys: &[Key], found: &mut Vec<String>) {
    if let Some(table) = item.as_table_like_mut() {
        of_table(table, keys, found);
    } else if let Some(tables) = item.as_array_of_tables_mut() {
        tables.iter_mut().for_each(|table| of_table(table, keys, found));
    } else if let Some(list) = item.as_array_mut() {
        list.iter_mut().filter_map(Value::as_inline_table_mut).for_each(|table| of_table(table, keys, found));
    }
}

fn unknown(item: &mut Item, found: &mut Vec<String>) {
    if let Some(text) = item.as_str().filter(|text| text.len() >= MIN_UNKNOWN) {
        found.push(text.to_owned());
    } else if let Some(table) = item.as_table_like_mut() {
        table.iter_mut().for_each(|(_, item)| unknown(item, found));
    } else if let Some(tables) = item.as_array_of_tables_mut() {
        tables.iter_mut().flat_map(|table| table.iter_mut()).for_each(|(_, item)| unknown(item, found));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_secret_is_found_wherever_it_stands() {
        let document = "[[registry]]\nhost = \"r.example\"\npassword = \"in a table\"\n[[registry.mirrors]]\nhost = \"m.example\"\npassword = \"deeper\"\n\
                        [network.proxy]\nhttps = \"http://me:of-the-proxy@p.example:3128\"\n[cluster.a]\ntokn = \"misspelt-token\"\nshort = \"yes\"\n";
        let expected = ["in a table", "deeper", "me:of-the-proxy", "of-the-proxy", "misspelt-token"];
        assert_eq!(secrets(document), expected);
        assert!(secrets("password = \"of no TOML\"\n[").contains(&"of no TOML".to_owned()));
        assert!(secrets("hostname = \"a-long-host-name\"\n").is_empty());
    }
}
