//! Where a key stands in a document, and the change there.

use std::mem;

use toml_edit::{ArrayOfTables, Item, Table, TableLike, Value};

use super::value;
use crate::{
    read::{nearest, quoted},
    schema::{Key, Shape},
    values::{Mac, Text},
};

/// What is to be done.
#[derive(Debug)]
pub(super) enum Act<'a> {
    Set(&'a str),
    Unset,
}

/// What is wrong, and what would be right.
type Wrong = (String, String);

/// Does `act` to the key `path` of `table`, whose keys are `keys`.
pub(super) fn change(table: &mut dyn TableLike, keys: &[Key], path: &[String], act: &Act<'_>) -> Result<(), Wrong> {
    let Some((name, rest)) = path.split_first() else {
        return Err(("is a table".to_owned(), one_of(keys)));
    };
    let Some(key) = keys.iter().find(|key| key.name == name) else {
        return Err(unknown(name, keys));
    };
    match (key.shape, rest, act) {
        (_, [], Act::Unset) => remove(table, name),
        (Shape::Table(inner), _, _) => {
            let inner_table = table_in(table, name, act)?;
            change(inner_table, inner, rest, act)
        }
        (Shape::Keyed(identities, inner), [which, rest @ ..], _) => {
            keyed(table, name, identities, which, (inner, rest), act)
        }
        (Shape::Keyed(_, inner), [], Act::Set(_)) => {
            Err(("is a list of tables".to_owned(), format!("{name}.WHICH.KEY, the key {}", one_of(inner))))
        }
        (Shape::Texted | Shape::TextedOrNumbered, [_, ..], _) => {
            let inner = table_in(table, name, act)?;
            flat(inner, &rest.join("."), key.shape, act)
        }
        (Shape::Texted | Shape::TextedOrNumbered, [], Act::Set(_)) => {
            Err(("is a table".to_owned(), format!("{name}.KEY")))
        }
        (_, [], Act::Set(text)) => put(table, name, key.shape, text),
        (_, [_, ..], _) => Err((format!("has no keys in it, it is all of {name}"), String::new())),
    }
}

/// Whether `known`, as [`crate::Outcome`] has it, is the key `path`.
pub(super) fn is_same(known: &str, path: &[String]) -> bool {
    let written: Vec<String> = path.iter().map(|name| quoted(name)).collect();
    // Of keys that have points in them, both forms are taken.
    known == written.join(".") || known.replace('"', "") == path.join(".")
}

/// That there is no key `name` among `keys`.
pub(super) fn unknown(name: &str, keys: &[Key]) -> Wrong {
    let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
    match nearest(name, &names) {
        Some(meant) => (format!("there is no such key; did you mean {meant}?"), String::new()),
        None => ("there is no such key".to_owned(), one_of(keys)),
    }
}

/// Whether `one` of a list of tables is the one that is `which`.
pub(super) fn is_called(one: &Table, identities: &[&str], which: &str) -> bool {
    let mac = |text: &str| Mac::parse(text).map_or_else(|_| text.to_owned(), |mac| mac.to_string());
    let found = identities.iter().find_map(|identity| one.get(identity).and_then(Item::as_str));
    found.is_some_and(|found| mac(found) == mac(which))
}

/// The tables `name`, and in them the one that is `which`.
fn keyed(
    table: &mut dyn TableLike,
    name: &str,
    identities: &[&str],
    which: &str,
    (keys, rest): (&[Key], &[String]),
    act: &Act<'_>,
) -> Result<(), Wrong> {
    let tables = tables_in(table, name, act)?;
    let index = tables.iter().position(|one| is_called(one, identities, which));
    match (index, rest, act) {
        (None, _, Act::Unset) => Err(("is not set here".to_owned(), String::new())),
        (Some(index), [], Act::Unset) => {
            tables.remove(index);
            if tables.is_empty() {
                table.remove(name);
            }
            Ok(())
        }
        (_, [], Act::Set(_)) => Err(("is a table".to_owned(), one_of(keys))),
        (Some(index), _, _) => match tables.get_mut(index) {
            Some(one) => change(one, keys, rest, act),
            None => Ok(()),
        },
        (None, _, Act::Set(_)) => {
            let is_mac = identities.contains(&"mac") && Mac::parse(which).is_ok();
            let identity = if is_mac { "mac" } else { identities.first().copied().unwrap_or_default() };
            let mut one = Table::new();
            one.insert(identity, Item::Value(which.into()));
            change(&mut one, keys, rest, act)?;
            tables.push(one);
            Ok(())
        }
    }
}

/// The key `name`, which may have points in it, of a table in which the operator chooses the keys.
fn flat(table: &mut dyn TableLike, name: &str, shape: Shape, act: &Act<'_>) -> Result<(), Wrong> {
    if !table.contains_key(name) {
        // It may be written without quotes: then it is a table in a table.
        let inner = name.match_indices('.').find_map(|(point, _)| {
            let (first, rest) = (name.get(..point)?, name.get(point + 1..)?);
            table.get(first).is_some_and(Item::is_table_like).then_some((first, rest))
        });
        let inner = inner.and_then(|(first, rest)| Some((table.get_mut(first)?.as_table_like_mut()?, rest)));
        if let Some((inner, rest)) = inner {
            return flat(inner, rest, shape, act);
        }
    }
    match act {
        Act::Set(text) => put(table, name, shape, text),
        Act::Unset => remove(table, name),
    }
}

fn put(table: &mut dyn TableLike, name: &str, shape: Shape, text: &str) -> Result<(), Wrong> {
    let mut value = value::parse(shape, text).map_err(|expected| ("does not fit".to_owned(), expected.to_owned()))?;
    if let Some(old) = table.get_mut(name).and_then(Item::as_value_mut) {
        // With the blanks and comments around it.
        *value.decor_mut() = old.decor().clone();
        *old = value;
    } else {
        table.insert(name, Item::Value(value));
    }
    Ok(())
}

fn remove(table: &mut dyn TableLike, name: &str) -> Result<(), Wrong> {
    table.remove(name).map(|_| ()).ok_or_else(|| ("is not set here".to_owned(), String::new()))
}

/// The table `name`, which is made if something is to be set in it.
fn table_in<'t>(table: &'t mut dyn TableLike, name: &str, act: &Act<'_>) -> Result<&'t mut dyn TableLike, Wrong> {
    if !table.contains_key(name) {
        if matches!(act, Act::Unset) {
            return Err(("is not set here".to_owned(), String::new()));
        }
        let mut inner = Table::new();
        inner.set_implicit(true);
        table.insert(name, Item::Table(inner));
    }
    let inner = table.get_mut(name).and_then(Item::as_table_like_mut);
    inner.ok_or_else(|| (format!("cannot be changed: {name} is not a table here"), format!("[{name}]")))
}

/// The tables `name`; those that stand in a list get a header each.
fn tables_in<'t>(table: &'t mut dyn TableLike, name: &str, act: &Act<'_>) -> Result<&'t mut ArrayOfTables, Wrong> {
    if !table.contains_key(name) {
        if matches!(act, Act::Unset) {
            return Err(("is not set here".to_owned(), String::new()));
        }
        table.insert(name, Item::ArrayOfTables(ArrayOfTables::new()));
    }
    let wrong = || (format!("cannot be changed: {name} is not a list of tables here"), format!("[[{name}]]"));
    let item = table.get_mut(name).ok_or_else(wrong)?;
    if item.as_value().is_some_and(Value::is_array) {
        *item = match mem::take(item).into_array_of_tables() {
            Ok(tables) => Item::ArrayOfTables(tables),
            Err(list) => list,
        };
    }
    item.as_array_of_tables_mut().ok_or_else(wrong)
}

fn one_of(keys: &[Key]) -> String {
    let names: Vec<&str> = keys.iter().map(|key| key.name).collect();
    format!("one of {}", names.join(", "))
}
