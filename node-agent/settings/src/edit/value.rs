//! Values as they are given on a command line.

use toml_edit::{Array, Value};

use crate::schema::Shape;

/// The value of this shape that `text` says; else what would be right.
pub(super) fn parse(shape: Shape, text: &str) -> Result<Value, &'static str> {
    match shape {
        Shape::Switch => switch(text).ok_or("true or false"),
        Shape::Number(_, _) => number(text).ok_or("a number"),
        Shape::SwitchOrChoice(_) => Ok(switch(text).unwrap_or_else(|| plain_or_quoted(text))),
        Shape::TextedOrNumbered => Ok(number(text).unwrap_or_else(|| plain_or_quoted(text))),
        Shape::Text | Shape::Secret | Shape::ProxyUrl | Shape::Choice(_) | Shape::Texted => Ok(plain_or_quoted(text)),
        Shape::Texts if text.trim_start().starts_with('[') => list(text).ok_or("a list, as [\"one\", \"two\"]"),
        Shape::Texts => Ok(Array::from_iter([plain_or_quoted(text)]).into()),
        Shape::List(_) | Shape::TextsOrTables(_, _) => list(text).ok_or("a list, as [{ key = \"value\" }]"),
        Shape::Table(_) | Shape::Keyed(_, _) => Err("one of the keys in it"),
    }
}

fn switch(text: &str) -> Option<Value> {
    text.parse::<bool>().ok().map(Value::from)
}

fn number(text: &str) -> Option<Value> {
    text.parse::<i64>().ok().map(Value::from)
}

fn list(text: &str) -> Option<Value> {
    let value: Value = text.parse().ok()?;
    let array: &Array = value.as_array()?;
    Some(array.clone().into())
}

/// A text, in TOML's quotes or without.
fn plain_or_quoted(text: &str) -> Value {
    let quoted = text.parse::<Value>().ok().filter(Value::is_str);
    quoted.unwrap_or_else(|| text.into())
}
