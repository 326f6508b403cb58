//! What a document has under a key.

use serde_json::{Map, Value as Json};
use toml_edit::{Item, TableLike, Value};

use super::place::{is_called, unknown};
use crate::schema::{Key, Shape};

/// What is wrong, and what would be right.
type Wrong = (String, String);

/// What stands under the key `path` of `table`, whose keys are `keys`; None if it is not there.
pub(super) fn find(table: &dyn TableLike, keys: &[Key], path: &[String]) -> Result<Option<Json>, Wrong> {
    let Some((name, rest)) = path.split_first() else { return Ok(Some(json_of_table(table))) };
    let Some(key) = keys.iter().find(|key| key.name == name) else { return Err(unknown(name, keys)) };
    let item = table.get(name);
    // What is not there has keys as well, and others that it has not.
    let nothing = toml_edit::Table::new();
    match (key.shape, rest) {
        (_, []) => Ok(item.map(json)),
        (Shape::Table(inner), _) => find(item.and_then(Item::as_table_like).unwrap_or(&nothing), inner, rest),
        (Shape::Keyed(identities, inner), [which, rest @ ..]) => {
            let mut tables = item.and_then(Item::as_array_of_tables).into_iter().flatten();
            match tables.find(|one| is_called(one, identities, which)) {
                Some(one) => find(one, inner, rest),
                None if rest.is_empty() => Ok(None),
                None => find(&nothing, inner, rest),
            }
        }
        (Shape::Texted | Shape::TextedOrNumbered, _) => {
            Ok(item.and_then(Item::as_table_like).and_then(|table| table.get(&rest.join("."))).map(json))
        }
        (_, [_, ..]) => Err((format!("has no keys in it, it is all of {name}"), String::new())),
    }
}

/// A document as JSON.
pub(super) fn json_of_table(table: &dyn TableLike) -> Json {
    Json::Object(table.iter().map(|(name, item)| (name.to_owned(), json(item))).collect::<Map<_, _>>())
}

fn json(item: &Item) -> Json {
    match item {
        Item::None => Json::Null,
        Item::Value(value) => json_of_value(value),
        Item::Table(table) => json_of_table(table),
        Item::ArrayOfTables(tables) => Json::Array(tables.iter().map(|table| json_of_table(table)).collect()),
    }
}

fn json_of_value(value: &Value) -> Json {
    match value {
        Value::String(text) => text.value().as_str().into(),
        Value::Integer(number) => (*number.value()).into(),
        Value::Float(number) => (*number.value()).into(),
        Value::Boolean(switch) => (*switch.value()).into(),
        Value::Datetime(date) => date.value().to_string().into(),
        Value::Array(list) => Json::Array(list.iter().map(json_of_value).collect()),
        Value::InlineTable(table) => json_of_table(table),
    }
}
