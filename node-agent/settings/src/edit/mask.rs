//! A document without its secrets.

use toml_edit::{Item, TableLike, Value};

use crate::schema::{Key, Shape};

/// In place of a value that nobody knows: it may be the password of a misspelt key.
const UNKNOWN: &str = "(not shown)";

/// Secrets, each with a number: so that it shows whether two are the same, and nothing else.
#[derive(Debug, Default)]
pub(super) struct Masks(Vec<String>);

impl Masks {
    /// Masks each secret in `table`, whose keys are `keys`.
    pub(super) fn mask(&mut self, table: &mut dyn TableLike, keys: &[Key]) {
        for (name, item) in table.iter_mut() {
            match keys.iter().find(|key| key.name == name.get()).map(|key| key.shape) {
                None => hide(item),
                Some(Shape::Secret) => self.replace(item, |masks, secret| masks.name(secret)),
                Some(Shape::ProxyUrl) => self.replace(item, |masks, url| match url.rsplit_once('@') {
                    Some((user, host)) => format!("{}@{host}", masks.name(user)),
                    None => url.to_owned(),
                }),
                Some(
                    Shape::Table(keys) | Shape::List(keys) | Shape::TextsOrTables(_, keys) | Shape::Keyed(_, keys),
                ) => self.mask_item(item, keys),
                Some(_) => {}
            }
        }
    }

    fn mask_item(&mut self, item: &mut Item, keys: &[Key]) {
        if let Some(table) = item.as_table_like_mut() {
            self.mask(table, keys);
        } else if let Some(tables) = item.as_array_of_tables_mut() {
            tables.iter_mut().for_each(|table| self.mask(table, keys));
        } else if let Some(list) = item.as_array_mut() {
            for value in list.iter_mut() {
                match value.as_inline_table_mut() {
                    Some(table) => self.mask(table, keys),
                    None => put(value, UNKNOWN),
                }
            }
        } else {
            hide(item);
        }
    }

    fn replace(&mut self, item: &mut Item, with: impl Fn(&mut Self, &str) -> String) {
        match item.as_value_mut() {
            Some(Value::String(text)) => {
                let masked = with(self, text.value());
                let mut value = Value::from(masked);
                *value.decor_mut() = text.decor().clone();
                *item = Item::Value(value);
            }
            Some(_) | None => hide(item),
        }
    }

    fn name(&mut self, secret: &str) -> String {
        let known = self.0.iter().position(|known| known == secret);
        let index = known.unwrap_or_else(|| {
            self.0.push(secret.to_owned());
            self.0.len() - 1
        });
        format!("(secret {})", index + 1)
    }
}

/// Hides every value in `item`.
fn hide(item: &mut Item) {
    if let Some(value) = item.as_value_mut() {
        put(value, UNKNOWN);
    } else if let Some(table) = item.as_table_like_mut() {
        table.iter_mut().for_each(|(_, item)| hide(item));
    } else if let Some(tables) = item.as_array_of_tables_mut() {
        tables.iter_mut().flat_map(|table| table.iter_mut()).for_each(|(_, item)| hide(item));
    }
}

fn put(value: &mut Value, text: &str) {
    let decor = value.decor().clone();
    *value = text.into();
    *value.decor_mut() = decor;
}
