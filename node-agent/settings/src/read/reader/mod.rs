//! Takes values out of tables that lie one upon the other, one key at a time, and keeps account: where each came from, what
//! does not fit, and which keys nobody asked for.

mod tables;

use std::{collections::BTreeMap, ops::RangeInclusive};

use super::names;
use crate::{
    problem::Problem,
    tree::{Entry, Item, Origin, Table, Value},
    values::{SIZE_UNITS, Size, Text},
};

/// A key's value, as far as there is one.
#[derive(Debug)]
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
        self.given().unwrap_or(default)
    }

    /// The value, if there is one that fits.
    pub(super) fn given(self) -> Option<T> {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Refused => None,
        }
    }
}

/// What is known after reading.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    /// By key: where its value came from.
    pub(super) origins: BTreeMap<String, Origin>,
}

/// The tables of one name, the one that counts most first.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    layers: Vec<&'a Table>,
    /// Empty for the root.
    path: String,
    /// Where the table stands, if it does.
    origin: Option<&'a Origin>,
    /// Whether a value that does not fit hides those below it.
    is_cautious: bool,
    known: Vec<&'static str>,
    /// Keys that are none here, and what is written in their place.
    hints: &'static [(&'static str, &'static str)],
    findings: Findings,
}

impl<'a> Reader<'a> {
    pub(super) fn root(layers: Vec<&'a Table>) -> Self {
        let findings = Findings::default();
        Self { layers, path: String::new(), origin: None, is_cautious: false, known: Vec::new(), hints: &[], findings }
    }

    /// Our names of keys that other programs call otherwise.
    pub(super) fn hint(&mut self, hints: &'static [(&'static str, &'static str)]) {
        self.hints = hints;
    }

    /// The text `key` of the table that counts most, before anybody looks whether it fits.
    pub(super) fn peek_text(&self, key: &str) -> Option<&'a str> {
        self.layers.iter().find_map(|layer| layer.text(key))
    }

    /// From here on a value that does not fit hides those that count less: what somebody wanted changed shall not stay as
    /// it was because of a slip.
    pub(super) fn be_cautious(&mut self) {
        self.is_cautious = true;
    }

    /// What `read` makes of the tables `key`, or of an empty one if there is none.
    pub(super) fn table<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Reader<'a>) -> T) -> T {
        let layers = self.layers_of(key);
        self.within(layers, self.key(key), None, read)
    }

    /// The value `key`, which is true or false.
    pub(super) fn switch(&mut self, key: &'static str) -> Found<bool> {
        self.value(key, "true or false", |value| value.as_switch().ok_or_else(|| value.kind_clause()))
    }

    /// The value `key`, a whole number.
    pub(super) fn number(&mut self, key: &'static str, range: RangeInclusive<u32>) -> Found<u32> {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        self.value(key, &expected, |value| {
            if *value == Value::Number {
                return Err("is no whole number, or out of range".to_owned());
            }
            let number = u32::try_from(value.as_integer().ok_or_else(|| value.kind_clause())?);
            number.ok().filter(|number| range.contains(number)).ok_or_else(|| "is out of range".to_owned())
        })
    }

    /// The value `key`, an amount of bytes.
    pub(super) fn size(&mut self, key: &'static str, range: RangeInclusive<Size>) -> Found<Size> {
        let expected = format!("a size from \"{}\" to \"{}\" ({SIZE_UNITS})", range.start(), range.end());
        self.text(key, &expected, |text| {
            let size = Size::parse(text)?;
            if range.contains(&size) { Ok(size) } else { Err(format!("{text:?} is out of range")) }
        })
    }

    /// The value `key`, one of a few words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Found<T> {
        let expected = names::one_of(words.iter().map(|(word, _)| *word));
        self.text(key, &expected, |text| {
            words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| format!("is {text:?}"))
        })
    }

    /// The value `key`, which is written as a text.
    pub(super) fn get<T: Text>(&mut self, key: &'static str) -> Found<T> {
        self.text(key, T::EXPECTED, T::parse)
    }

    /// As [`Self::get`], where the table means nothing without it.
    pub(super) fn need<T: Text>(&mut self, key: &'static str) -> Option<T> {
        let found = self.get(key);
        if matches!(found, Found::Absent) {
            let problem = self.origin.map(|origin| origin.problem(&self.key(key), "is missing", T::EXPECTED));
            self.findings.problems.extend(problem);
        }
        found.given()
    }

    /// The values in the list `key`, which are written as texts; a text alone is a list of one. Those that do not fit are named, the
    /// others given.
    pub(super) fn list<T: Text>(&mut self, key: &'static str) -> Found<Vec<T>> {
        let candidates = self.take(key);
        if candidates.is_empty() {
            return Found::Absent;
        }
        for list in candidates {
            let text = list.value.as_text().map(|_| std::slice::from_ref(list));
            let Some(items) = list.value.as_list().or(text) else {
                self.refuse(key, list, &list.value.kind_clause(), &format!("a list, each {}", T::EXPECTED));
                if self.is_cautious {
                    break;
                }
                continue;
            };
            let mut good = Vec::new();
            for item in items {
                match parse_text(&item.value, T::parse) {
                    Ok(value) => good.push(value),
                    Err(what) => self.refuse(key, item, &what, T::EXPECTED),
                }
            }
            self.findings.origins.insert(self.key(key), list.origin.clone());
            return Found::Given(good);
        }
        Found::Refused
    }

    /// All keys of the tables `key` with their values; what fits is up to the key. Keys with points in them may be written as tables in
    /// tables.
    pub(super) fn map<K: Text + Ord, V>(
        &mut self,
        key: &'static str,
        expected: impl Fn(&K) -> String,
        read: impl Fn(&K, &Value) -> Result<V, String>,
    ) -> BTreeMap<K, V> {
        let mut all = BTreeMap::new();
        let base = self.key(key);
        for layer in self.layers_of(key) {
            for (name, entry) in flat(layer) {
                let path = format!("{base}.{}", names::quoted(&name));
                let name = match K::parse(&name) {
                    Ok(name) if all.contains_key(&name) => continue,
                    Ok(name) => name,
                    Err(what) => {
                        self.findings.problems.push(entry.origin.problem(&path, &what, K::EXPECTED));
                        continue;
                    }
                };
                match read(&name, &entry.item.value) {
                    _ if entry.item.value == Value::Broken => {}
                    Ok(value) => {
                        self.findings.origins.insert(path, entry.item.origin.clone());
                        all.insert(name, value);
                    }
                    Err(what) => self.findings.problems.push(entry.item.origin.problem(&path, &what, &expected(&name))),
                }
            }
        }
        all
    }

    /// What `read` makes of the text `key`; its error says what is wrong, `expected` what would be right.
    pub(super) fn text<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Found<T> {
        self.value(key, expected, |value| parse_text(value, &read))
    }

    /// Reads `keys`, which mean something only together: from the one table that counts most of those that have any of them.
    pub(super) fn together<T>(&mut self, keys: &[&str], read: impl FnOnce(&mut Self) -> T) -> T {
        let all = std::mem::take(&mut self.layers);
        let has_one = |table: &&Table| keys.iter().any(|key| table.get(key).is_some());
        self.layers = all.iter().copied().find(has_one).into_iter().collect();
        let result = read(self);
        self.layers = all;
        result
    }

    /// Names what is wrong with `keys` together, at the first of them.
    pub(super) fn refuse_keys(&mut self, keys: &[&str], what: &str, expected: &str) {
        let first = self.layers.iter().find_map(|table| keys.iter().find_map(|key| table.get(key)));
        self.findings.problems.extend(first.map(|item| item.origin.problem(&self.path, what, expected)));
    }

    /// Names what is wrong with the table itself.
    pub(super) fn refuse_table(&mut self, what: &str, expected: &str) {
        self.findings.problems.extend(self.origin.map(|origin| origin.problem(&self.path, what, expected)));
    }

    /// The account, with the keys that nobody asked for in it.
    pub(super) fn finish(mut self) -> Findings {
        for Entry { name, origin, item } in self.layers.iter().flat_map(|table| &table.entries) {
            if self.known.contains(&&**name) || item.value == Value::Broken {
                continue;
            }
            let hint = self.hints.iter().find(|(known, _)| known == name).map(|(_, hint)| hint);
            let meant = names::nearest(name, &self.known).filter(|_| hint.is_none());
            let what = hint.map(|hint| format!("there is no such key; write {hint}"));
            let what = what.or_else(|| meant.map(|meant| format!("there is no such key; did you mean {meant}?")));
            let expected = if what.is_some() { String::new() } else { format!("one of {}", self.known.join(", ")) };
            let what = what.unwrap_or_else(|| "there is no such key".to_owned());
            self.findings.problems.push(origin.problem(&self.key(&names::quoted(name)), &what, &expected));
        }
        self.findings
    }

    fn within<T>(
        &mut self,
        layers: Vec<&'a Table>,
        path: String,
        origin: Option<&'a Origin>,
        read: impl FnOnce(&mut Reader<'a>) -> T,
    ) -> T {
        let findings = std::mem::take(&mut self.findings);
        let mut reader = Reader { layers, path, origin, findings, ..Reader::root(Vec::new()) };
        reader.is_cautious = self.is_cautious;
        let result = read(&mut reader);
        self.findings = reader.finish();
        result
    }

    pub(super) fn value<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl Fn(&Value) -> Result<T, String>,
    ) -> Found<T> {
        let candidates = self.take(key);
        if candidates.is_empty() {
            return Found::Absent;
        }
        for item in candidates {
            match read(&item.value) {
                _ if item.value == Value::Broken => {}
                Ok(value) => {
                    self.findings.origins.insert(self.key(key), item.origin.clone());
                    return Found::Given(value);
                }
                Err(what) => self.refuse(key, item, &what, expected),
            }
            if self.is_cautious {
                break;
            }
        }
        Found::Refused
    }

    /// What is said of `key`, the one that counts most first.
    fn take(&mut self, key: &'static str) -> Vec<&'a Item> {
        self.known.push(key);
        self.layers.iter().filter_map(|layer| layer.get(key)).collect()
    }

    fn layers_of(&mut self, key: &'static str) -> Vec<&'a Table> {
        let mut layers = Vec::new();
        for item in self.take(key) {
            match item.value.as_table() {
                Some(table) => layers.push(table),
                None => {
                    let expected = format!("a table, [{}]", self.key(key));
                    self.refuse(key, item, &item.value.kind_clause(), &expected);
                }
            }
        }
        layers
    }

    fn refuse(&mut self, key: &str, item: &Item, what: &str, expected: &str) {
        if item.value != Value::Broken {
            self.findings.problems.push(item.origin.problem(&self.key(key), what, expected));
        }
    }

    fn key(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

fn parse_text<T>(value: &Value, read: impl Fn(&str) -> Result<T, String>) -> Result<T, String> {
    match value.as_text() {
        Some(text) => read(text),
        None => Err(value.kind_clause()),
    }
}

/// The values of a table and of the tables in it, with their keys joined by points.
fn flat(table: &Table) -> Vec<(String, &Entry)> {
    let mut all = Vec::new();
    for entry in &table.entries {
        match entry.item.value.as_table() {
            Some(inner) => {
                all.extend(flat(inner).into_iter().map(|(name, inner)| (format!("{}.{name}", entry.name), inner)));
            }
            None => all.push((entry.name.clone(), entry)),
        }
    }
    all
}
