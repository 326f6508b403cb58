//! YAML to a tree; JSON is YAML too. Where YAML is broken nothing can be said of what follows, so all of it is lost.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::{Location, Spanned};

use super::{
    limits::{Budget, MAX_DEPTH, MAX_ITEMS},
    text::Text,
};
use crate::{
    problem::{Place, Problem},
    tree::{Entry, Item, Origin, Table, Value},
};

/// How deep the parser goes: deeper than we read, since what lies there may be something that others use.
const PARSER_DEPTH: usize = 64;

/// What the parser counts beside what we do: the parts of what we do not read, aliases.
const PARSER_NODES: usize = 20 * MAX_ITEMS;

/// The mapping that `text` is, and what is wrong with it. An empty text is an empty mapping.
pub(super) fn parse(text: &Text<'_>, budget: &mut Budget) -> (Table, Vec<Problem>) {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: PARSER_DEPTH, max_nodes: PARSER_NODES },
    };
    let document: Spanned<Yaml> = match serde_saphyr::from_str_with_options(text.text, options) {
        Ok(document) => document,
        Err(error) => {
            let reported = error.without_snippet().to_string();
            let what = reported.split(" at line ").next().unwrap_or_default().trim().replace('\n', ", ");
            let origin = text.origin_at(error.location().and_then(place));
            return (Table::default(), vec![origin.problem("", &format!("{what}; nothing in it applies"), "")]);
        }
    };
    let mut reading = Reading { text, budget, problems: Vec::new() };
    let item = reading.item(document, 0);
    if let Value::Table(table) = item.value {
        return (table, reading.problems);
    }
    if item.value != Value::Nothing {
        let what = format!("it {}; nothing in it applies", item.value.kind_clause());
        reading.problems.push(item.origin.problem("", &what, "a mapping"));
    }
    (Table::default(), reading.problems)
}

/// A value as YAML has it.
#[derive(Debug)]
enum Yaml {
    Nothing,
    Switch(bool),
    Integer(i64),
    Number,
    Text(String),
    List(Vec<Spanned<Self>>),
    Map(Vec<(Spanned<String>, Spanned<Self>)>),
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

/// Takes whatever there is.
struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Yaml;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Yaml, E> {
        Ok(Yaml::Nothing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Yaml, E> {
        Ok(Yaml::Switch(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Yaml, E> {
        Ok(Yaml::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Yaml, E> {
        Ok(i64::try_from(value).map_or(Yaml::Number, Yaml::Integer))
    }

    fn visit_i128<E>(self, _: i128) -> Result<Yaml, E> {
        Ok(Yaml::Number)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Yaml, E> {
        Ok(Yaml::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Yaml, E> {
        Ok(Yaml::Number)
    }

    fn visit_str<E>(self, value: &str) -> Result<Yaml, E> {
        Ok(Yaml::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Yaml, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Yaml::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Yaml, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Yaml::Map(map))
    }
}

struct Reading<'a> {
    text: &'a Text<'a>,
    budget: &'a mut Budget,
    problems: Vec<Problem>,
}

impl Reading<'_> {
    fn item(&mut self, item: Spanned<Yaml>, depth: usize) -> Item {
        let origin = self.text.origin_at(place(item.referenced));
        let is_nested = matches!(item.value, Yaml::List(_) | Yaml::Map(_));
        if is_nested && depth >= MAX_DEPTH {
            let what = format!("is nested deeper than {MAX_DEPTH} mappings and lists");
            self.problems.push(origin.problem("", &what, ""));
            return Item { value: Value::Broken, origin };
        }
        let value = match item.value {
            Yaml::Nothing => Value::Nothing,
            Yaml::Switch(switch) => Value::Switch(switch),
            Yaml::Integer(number) => Value::Integer(number),
            Yaml::Number => Value::Number,
            Yaml::Text(text) => Value::Text(text),
            Yaml::List(items) => {
                let items = items.into_iter();
                Value::List(items.map_while(|item| self.within(&origin).then(|| self.item(item, depth + 1))).collect())
            }
            Yaml::Map(entries) => {
                let entries = entries.into_iter().map_while(|(key, value)| {
                    let origin = self.text.origin_at(place(key.referenced));
                    let has_room = self.within(&origin);
                    has_room.then(|| Entry { name: key.value, origin, item: self.item(value, depth + 1) })
                });
                Value::Table(Table { entries: entries.collect() })
            }
        };
        Item { value, origin }
    }

    /// Whether there is room for one more.
    fn within(&mut self, origin: &Origin) -> bool {
        let has_room = self.budget.take();
        if let Some(what) = (!has_room).then(|| self.budget.report_once()).flatten() {
            self.problems.push(origin.problem("", &what, ""));
        }
        has_room
    }
}

/// None if the parser does not know.
fn place(location: Location) -> Option<Place> {
    let line = usize::try_from(location.line()).ok().filter(|line| *line > 0)?;
    Some(Place { line, column: usize::try_from(location.column()).ok()?.max(1) })
}
