//! Takes values out of a table, one key at a time, and keeps account of what is wrong: values that do not fit, and keys
//! that nobody asked for.

use std::{collections::BTreeSet, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue, Error},
};

use super::super::model::{Place, Problem};

/// From this likeness on (Jaro-Winkler, 0 to 1) a name was probably meant: `singatures` has 0.97, `pods` for `health` 0.
const LIKENESS: f64 = 0.8;

/// A key's value, as far as there is one.
#[derive(Debug, PartialEq)]
pub(super) enum Found<T> {
    /// The key is not there.
    Absent,
    /// It is there with something that does not fit, which has been named.
    Refused,
    /// It is there.
    Given(T),
}

impl<T> Found<T> {
    /// The value, or `default` if there is none that fits.
    pub(super) fn or(self, default: T) -> T {
        match self {
            Self::Given(value) => value,
            Self::Absent | Self::Refused => default,
        }
    }
}

/// A file's text, for places in it.
#[derive(Debug)]
pub(super) struct Source<'a> {
    file: &'a str,
    text: &'a str,
    /// Lines that the TOML parser complained about: what it made of them does not apply.
    broken: BTreeSet<usize>,
}

impl<'a> Source<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, broken: BTreeSet::new() }
    }

    pub(super) fn with_errors(mut self, errors: &[Error]) -> Self {
        self.broken = errors.iter().filter_map(|error| Some(self.place(error.span()?.start).line)).collect();
        self
    }

    pub(super) fn syntax_problems(&self, errors: &[Error]) -> Vec<Problem> {
        let problem = |error: &Error| {
            let what = error.message().trim().replace('\n', ", ");
            self.problem(error.span().map_or(0, |span| span.start), None, &what, "")
        };
        errors.iter().map(problem).collect()
    }

    pub(super) fn problem(&self, offset: usize, key: Option<String>, what: &str, expected: &str) -> Problem {
        Problem {
            file: self.file.to_owned(),
            place: Some(self.place(offset)),
            key,
            what: what.to_owned(),
            expected: expected.to_owned(),
        }
    }

    fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        Place { line: before.matches('\n').count() + 1, column }
    }

    fn is_broken(&self, span: &Range<usize>) -> bool {
        let (first, last) = (self.place(span.start).line, self.place(span.end).line);
        self.broken.range(first..=last).next().is_some()
    }
}

/// One table.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    source: &'a Source<'a>,
    /// With a point behind it; empty for the file itself.
    path: String,
    entries: Option<&'a DeTable<'a>>,
    known: Vec<&'static str>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn root(source: &'a Source<'a>, entries: &'a DeTable<'a>) -> Self {
        Self { source, path: String::new(), entries: Some(entries), known: Vec::new(), problems: Vec::new() }
    }

    /// What `read` makes of the table `key`, or of an empty one if it is not there.
    pub(super) fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Reader<'_>) -> T) -> T {
        let entries = match self.take(key) {
            None => None,
            Some(value) => {
                let table = value.get_ref().as_table();
                if table.is_none() {
                    self.refuse(key, value, &format!("is {}", kind(value)), &format!("a table, [{key}]"));
                }
                table
            }
        };
        let path = format!("{}{key}.", self.path);
        let mut reader = Reader { source: self.source, path, entries, known: Vec::new(), problems: Vec::new() };
        let result = read(&mut reader);
        self.problems.extend(reader.finish());
        result
    }

    /// The value `key`, which is true or false.
    pub(super) fn switch(&mut self, key: &'static str) -> Found<bool> {
        self.value(key, "true or false", |value| value.as_bool().ok_or_else(|| format!("is {}", kind_of(value))))
    }

    /// What `read` makes of the text `key`; the error says what is wrong, `expected` what would be right.
    pub(super) fn text<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Found<T> {
        self.value(key, expected, |value| text(value, &read))
    }

    /// What `read` makes of each text in the list `key`. Those that do not fit are named, the others are given.
    pub(super) fn texts<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Found<Vec<T>> {
        let Some(value) = self.take(key) else { return Found::Absent };
        let Some(items) = value.get_ref().as_array() else {
            self.refuse(key, value, &format!("is {}", kind(value)), &format!("a list, each {expected}"));
            return Found::Refused;
        };
        if self.source.is_broken(&value.span()) {
            return Found::Refused;
        }
        let mut good = Vec::new();
        for item in items.iter() {
            match text(item.get_ref(), &read) {
                Ok(item) => good.push(item),
                Err(what) => self.refuse(key, item, &what, expected),
            }
        }
        Found::Given(good)
    }

    /// All that was wrong, the keys that nobody asked for among it.
    pub(super) fn finish(self) -> Vec<Problem> {
        let mut problems = self.problems;
        for key in self.entries.into_iter().flat_map(|entries| entries.keys()) {
            let name: &str = key.get_ref();
            if self.known.contains(&name) || self.source.is_broken(&key.span()) {
                continue;
            }
            let what = match nearest(name, &self.known) {
                Some(meant) => format!("there is no such key; did you mean {meant}?"),
                None => "there is no such key".to_owned(),
            };
            let expected =
                if what.ends_with('?') { String::new() } else { format!("one of {}", self.known.join(", ")) };
            let path = Some(format!("{}{name}", self.path));
            problems.push(self.source.problem(key.span().start, path, &what, &expected));
        }
        problems
    }

    fn value<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl Fn(&DeValue<'_>) -> Result<T, String>,
    ) -> Found<T> {
        let Some(value) = self.take(key) else { return Found::Absent };
        match read(value.get_ref()) {
            _ if self.source.is_broken(&value.span()) => Found::Refused,
            Ok(value) => Found::Given(value),
            Err(what) => {
                self.refuse(key, value, &what, expected);
                Found::Refused
            }
        }
    }

    fn take(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.known.push(key);
        self.entries?.get(key)
    }

    fn refuse(&mut self, key: &str, value: &Spanned<DeValue<'_>>, what: &str, expected: &str) {
        if !self.source.is_broken(&value.span()) {
            let key = format!("{}{key}", self.path);
            self.problems.push(self.source.problem(value.span().start, Some(key), what, expected));
        }
    }
}

fn text<T>(value: &DeValue<'_>, read: impl Fn(&str) -> Result<T, String>) -> Result<T, String> {
    match value.as_str() {
        Some(text) => read(text),
        None => Err(format!("is {}", kind_of(value))),
    }
}

fn kind(value: &Spanned<DeValue<'_>>) -> &'static str {
    kind_of(value.get_ref())
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The one of `names` that was probably meant by `name`.
pub(super) fn nearest<'n>(name: &str, names: &[&'n str]) -> Option<&'n str> {
    let name = name.to_lowercase();
    let likeness = |known: &str| strsim::jaro_winkler(&name, &known.to_lowercase());
    let rated = names.iter().map(|known| (likeness(known), *known));
    let (likeness, known) = rated.max_by(|(one, _), (other, _)| one.total_cmp(other))?;
    (likeness >= LIKENESS).then_some(known)
}
