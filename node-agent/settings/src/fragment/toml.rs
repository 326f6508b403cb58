//! TOML to a tree. A line that is not TOML costs itself and the values that it is part of.

use std::{borrow::Cow, collections::BTreeSet, ops::Range};

use toml::{
    Spanned,
    de::{DeInteger, DeTable, DeValue, Error},
};

use super::{
    limits::{Budget, MAX_DEPTH},
    text::Text,
};
use crate::{
    problem::Problem,
    tree::{Entry, Item, Table, Value},
};

/// What the parser says of a key without `=`, behind which it would take in nothing more.
const NO_VALUE: [&str; 2] = ["key with no value", "missing value for key"];

/// More such lines are not from somebody who meant to write TOML, and each costs a reading of the whole.
const MAX_NO_VALUE: usize = 32;

/// What `text` says, and what is wrong with it.
pub(super) fn parse(text: &Text<'_>, budget: &mut Budget) -> (Table, Vec<Problem>) {
    let (document, errors) = DeTable::parse_recoverable(text.text);
    if !errors.iter().any(has_no_value) {
        return read(text, &document, &errors, budget);
    }
    let (readable, without_value) = readable(text.text);
    let (document, mut errors) = DeTable::parse_recoverable(&readable);
    errors.extend(without_value);
    read(text, &document, &errors, budget)
}

fn has_no_value(error: &Error) -> bool {
    NO_VALUE.iter().any(|start| error.message().starts_with(start))
}

fn read(
    text: &Text<'_>,
    document: &Spanned<DeTable<'_>>,
    errors: &[Error],
    budget: &mut Budget,
) -> (Table, Vec<Problem>) {
    let line = |error: &Error| Some(text.place(error.span()?.start).line);
    let broken = errors.iter().filter_map(line).collect();
    let problem = |error: &Error| {
        let what = error.message().trim().replace('\n', ", ");
        text.problem(error.span().map_or(0, |span| span.start), &what, "")
    };
    let problems = errors.iter().map(problem).collect();
    let mut reading = Reading { text, broken, budget, problems };
    let table = reading.table(document.get_ref(), 1);
    (table, reading.problems)
}

/// `text` with blanks in the place of lines that have a key and no value, and what is wrong with those.
fn readable(text: &str) -> (Cow<'_, str>, Vec<Error>) {
    let mut readable = Cow::Borrowed(text);
    let mut lost = Vec::new();
    while lost.len() < MAX_NO_VALUE {
        let (_, errors) = DeTable::parse_recoverable(&readable);
        let without = errors.into_iter().find(has_no_value);
        let Some((error, span)) = without.and_then(|error| error.span().map(|span| (error, span))) else { break };
        let (before, behind) = readable.split_at(span.start);
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let end = behind.find('\n').map_or(readable.len(), |at| span.start + at);
        // Byte for byte, so that all else stays where it is.
        let blank = " ".repeat(end - start);
        readable.to_mut().replace_range(start..end, &blank);
        lost.push(error);
    }
    (readable, lost)
}

struct Reading<'a> {
    text: &'a Text<'a>,
    /// Lines with errors: what the parser made of them does not apply.
    broken: BTreeSet<usize>,
    budget: &'a mut Budget,
    problems: Vec<Problem>,
}

impl Reading<'_> {
    fn table(&mut self, table: &DeTable<'_>, depth: usize) -> Table {
        // In the order in which they stand there; the parser's is that of the alphabet.
        let mut keys: Vec<_> = table.iter().collect();
        keys.sort_by_key(|(key, _)| key.span().start);
        let mut entries = Vec::new();
        for (key, value) in keys {
            if !self.has_room(key.span().start) {
                break;
            }
            let mut item = self.item(value, depth);
            if self.is_broken(&key.span()) && item.value.as_table().is_none() {
                item.value = Value::Broken;
            }
            let origin = self.text.origin(key.span().start);
            entries.push(Entry { name: key.get_ref().to_string(), origin, item });
        }
        Table { entries }
    }

    fn item(&mut self, value: &Spanned<DeValue<'_>>, depth: usize) -> Item {
        let (span, value) = (value.span(), value.get_ref());
        let origin = self.text.origin(span.start);
        let is_nested = matches!(value, DeValue::Table(_) | DeValue::Array(_));
        let value = if is_nested && depth >= MAX_DEPTH {
            let what = format!("is nested deeper than {MAX_DEPTH} tables and lists");
            self.problems.push(self.text.problem(span.start, &what, ""));
            Value::Broken
        } else if let DeValue::Table(table) = value {
            // What in it is broken is seen value by value.
            Value::Table(self.table(table, depth + 1))
        } else if self.is_broken(&span) {
            Value::Broken
        } else {
            self.value(value, depth)
        };
        Item { value, origin }
    }

    fn value(&mut self, value: &DeValue<'_>, depth: usize) -> Value {
        match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => integer(number).map_or(Value::Number, Value::Integer),
            DeValue::Float(_) => Value::Number,
            DeValue::Boolean(switch) => Value::Switch(*switch),
            DeValue::Datetime(_) => Value::Date,
            DeValue::Table(table) => Value::Table(self.table(table, depth + 1)),
            DeValue::Array(items) => {
                let mut list = Vec::new();
                for item in items.iter() {
                    if !self.has_room(item.span().start) {
                        break;
                    }
                    list.push(self.item(item, depth + 1));
                }
                Value::List(list)
            }
        }
    }

    fn has_room(&mut self, offset: usize) -> bool {
        let has_room = self.budget.take();
        if let Some(what) = (!has_room).then(|| self.budget.report_once()).flatten() {
            self.problems.push(self.text.problem(offset, &what, ""));
        }
        has_room
    }

    fn is_broken(&self, span: &Range<usize>) -> bool {
        if self.broken.is_empty() {
            return false;
        }
        let (first, last) = (self.text.place(span.start).line, self.text.place(span.end).line);
        self.broken.range(first..=last).next().is_some()
    }
}

fn integer(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()
}
