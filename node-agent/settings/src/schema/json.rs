//! The keys as a JSON Schema (draft 2020-12), by which editors complete and check TOML.

use serde_json::{Map, Value, json};

use super::{KEYS, Key, Shape};

/// The schema of a document.
pub fn json_schema() -> Value {
    let mut schema = table(KEYS);
    if let Value::Object(schema) = &mut schema {
        schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        schema.insert("title".to_owned(), json!("Settings of a Ballast node"));
    }
    schema
}

fn table(keys: &[Key]) -> Value {
    let properties: Map<String, Value> = keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

fn property(key: &Key) -> Value {
    let mut schema = of(key.shape);
    if let Value::Object(schema) = &mut schema {
        schema.insert("description".to_owned(), json!(key.what));
    }
    schema
}

fn of(shape: Shape) -> Value {
    let text = json!({ "type": "string" });
    match shape {
        Shape::Switch => json!({ "type": "boolean" }),
        Shape::Number(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Shape::Text | Shape::Secret | Shape::ProxyUrl => text,
        Shape::Choice(words) => json!({ "enum": words }),
        Shape::SwitchOrChoice(words) => json!({ "anyOf": [{ "type": "boolean" }, { "enum": words }] }),
        Shape::Texts => json!({ "anyOf": [{ "type": "array", "items": text }, text] }),
        Shape::Texted => json!({ "type": "object", "additionalProperties": text }),
        // Keys with points in them may be written as tables in tables.
        Shape::TextedOrNumbered => {
            json!({ "type": "object", "additionalProperties": { "type": ["string", "integer", "object"] } })
        }
        Shape::Table(keys) => table(keys),
        Shape::TextsOrTables(_, keys) => {
            json!({ "anyOf": [{ "type": "array", "items": { "anyOf": [table(keys), text] } }, text] })
        }
        Shape::List(keys) | Shape::Keyed(_, keys) => json!({ "type": "array", "items": table(keys) }),
    }
}
