//! Takes fields out of mappings. Whatever is wrong is noted and reading goes on, so that all of it is reported at once.

use std::{cell::RefCell, collections::BTreeMap};

use super::{
    ManifestError, known,
    tree::{Name, Node, Value},
};

/// What was found on the way.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// What keeps the manifest from being taken.
    pub(super) problems: Vec<ManifestError>,
    /// What is taken and does nothing here.
    pub(super) notes: Vec<ManifestError>,
}

/// A text and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) text: &'a str,
    pub(super) line: u64,
}

/// A mapping, of which fields are taken by name.
pub(super) struct Fields<'a> {
    report: &'a RefCell<Report>,
    path: String,
    line: u64,
    entries: &'a [(Name, Node)],
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The mapping that `node` is; if it is none, that is noted.
    pub(super) fn of(node: &'a Node, path: &str, report: &'a RefCell<Report>) -> Option<Self> {
        let fields = |entries: &'a [(Name, Node)]| Self {
            report,
            path: path.to_owned(),
            line: node.line,
            entries,
            known: Vec::new(),
        };
        match &node.value {
            Value::Map(entries) => {
                let fields = fields(entries);
                for (index, (name, _)) in entries.iter().enumerate() {
                    if entries.iter().take(index).any(|(earlier, _)| earlier.text == name.text) {
                        fields.refuse_at(name.line, "", &format!("the key `{}` is given twice", name.text));
                    }
                }
                Some(fields)
            }
            Value::Nothing | Value::Text(_) | Value::List(_) => {
                fields(&[]).refuse_at(node.line, "", "expected a mapping");
                None
            }
        }
    }

    /// As [`Self::of`], when it is only looked at: what is wrong is noted when it is read.
    pub(super) fn quietly(node: &'a Node, path: &str, report: &'a RefCell<Report>) -> Option<Self> {
        let Value::Map(entries) = &node.value else { return None };
        Some(Self { report, path: path.to_owned(), line: node.line, entries, known: Vec::new() })
    }

    /// The text of `key`, if it is one, without taking it.
    pub(super) fn peek(&self, key: &str) -> Option<&'a str> {
        let node = self.entries.iter().find(|(name, _)| name.text == key).map(|(_, node)| node)?;
        said(node).map(|said| said.text)
    }

    /// The line on which the mapping begins.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    /// What `key` is called in full; the mapping itself for an empty one.
    pub(super) fn key(&self, key: &str) -> String {
        match (self.path.as_str(), key) {
            (path, "") => path.to_owned(),
            ("", key) => key.to_owned(),
            (path, key) => format!("{path}.{key}"),
        }
    }

    /// Notes what is wrong with `key`, which stands on `line`.
    pub(super) fn refuse_at(&self, line: u64, key: &str, message: &str) {
        let error = ManifestError { line: Some(line), key: self.key(key), message: message.to_owned() };
        self.report.borrow_mut().problems.push(error);
    }

    /// As [`Self::refuse_at`], unless the same is noted already.
    pub(super) fn refuse_once(&self, line: u64, key: &str, message: &str) {
        let is_noted = self.report.borrow().problems.iter().any(|problem| problem.message == message);
        if !is_noted {
            self.refuse_at(line, key, message);
        }
    }

    /// Notes what is wrong with `said`, the value of `key`, unless it is valid.
    pub(super) fn require(&self, is_valid: bool, said: Said<'_>, key: &str, message: &str) {
        if !is_valid {
            self.refuse_at(said.line, key, message);
        }
    }

    /// The value of `key`, if there is one.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'a Node> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let found = self.entries.iter().find(|(name, _)| name.text == key).map(|(_, node)| node);
        found.filter(|node| node.value != Value::Nothing)
    }

    /// The text `key`.
    pub(super) fn text(&mut self, key: &'static str) -> Option<Said<'a>> {
        let node = self.take(key)?;
        let said = said(node);
        if said.is_none() {
            self.refuse_at(node.line, key, "expected a text");
        }
        said
    }

    /// The text `key`, without which the mapping means nothing.
    pub(super) fn need(&mut self, key: &'static str) -> Option<Said<'a>> {
        let has_it = self.take(key).is_some();
        if !has_it {
            self.refuse_at(self.line, "", &format!("the field `{key}` is missing"));
        }
        self.text(key)
    }

    /// Whether `key` is true; None if it is not said.
    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        let node = self.take(key)?;
        match said(node).map(|said| said.text) {
            Some("true" | "True" | "TRUE") => Some(true),
            Some("false" | "False" | "FALSE") => Some(false),
            Some(_) | None => {
                self.refuse_at(node.line, key, "expected true or false");
                None
            }
        }
    }

    /// The whole number `key`, at least 0.
    pub(super) fn number(&mut self, key: &'static str, most: u64) -> Option<u64> {
        let node = self.take(key)?;
        let number = said(node).and_then(|said| said.text.parse().ok()).filter(|number| *number <= most);
        if number.is_none() {
            self.refuse_at(node.line, key, &format!("expected a number from 0 to {most}"));
        }
        number
    }

    /// The value `key`, one of a few words.
    pub(super) fn word<T: Copy>(&mut self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let said = self.text(key)?;
        let found = words.iter().find(|(word, _)| *word == said.text).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).filter(|word| !word.is_empty()).collect();
            let message = format!("`{}` is unknown, expected one of {}", said.text, words.join(", "));
            self.refuse_at(said.line, key, &message);
        }
        found
    }

    /// The items of the list `key`, each with its full key.
    pub(super) fn list(&mut self, key: &'static str) -> Vec<(String, &'a Node)> {
        let Some(node) = self.take(key) else { return Vec::new() };
        let Value::List(items) = &node.value else {
            self.refuse_at(node.line, key, "expected a list");
            return Vec::new();
        };
        let path = self.key(key);
        items.iter().enumerate().map(|(index, node)| (format!("{path}[{index}]"), node)).collect()
    }

    /// The mappings in the list `key`.
    pub(super) fn all(&mut self, key: &'static str) -> Vec<Fields<'a>> {
        let report = self.report;
        self.list(key).into_iter().filter_map(|(path, node)| Fields::of(node, &path, report)).collect()
    }

    /// As [`Self::all`], when they are only peeked at: what is wrong is noted in `report`.
    pub(super) fn peek_all<'r>(&self, key: &str, report: &'r RefCell<Report>) -> Vec<Fields<'r>>
    where
        'a: 'r,
    {
        let found = self.entries.iter().find(|(name, _)| name.text == key).map(|(_, node)| &node.value);
        let Some(Value::List(items)) = found else { return Vec::new() };
        items.iter().filter_map(|item| Fields::quietly(item, key, report)).collect()
    }

    /// The texts in the list `key`, each with its line.
    pub(super) fn said(&mut self, key: &'static str) -> Vec<Said<'a>> {
        let mut texts = Vec::new();
        for (index, (_, node)) in self.list(key).into_iter().enumerate() {
            match said(node) {
                Some(said) => texts.push(said),
                None => self.refuse_at(node.line, &format!("{key}[{index}]"), "expected a text"),
            }
        }
        texts
    }

    /// The mapping `key` of texts.
    pub(super) fn map(&mut self, key: &'static str) -> BTreeMap<String, String> {
        let Some(fields) = self.fields(key) else { return BTreeMap::new() };
        let mut all = BTreeMap::new();
        for (name, node) in fields.entries {
            match said(node) {
                Some(said) => drop(all.insert(name.text.clone(), said.text.to_owned())),
                // What is nothing is the empty text (so does kubectl).
                None if node.value == Value::Nothing => drop(all.insert(name.text.clone(), String::new())),
                None => fields.refuse_at(node.line, &name.text, "expected a text"),
            }
        }
        all
    }

    /// The mapping `key`.
    pub(super) fn fields(&mut self, key: &'static str) -> Option<Fields<'a>> {
        let node = self.take(key)?;
        Fields::of(node, &self.key(key), self.report)
    }

    /// Notes that these have no effect, if they are there.
    pub(super) fn without_effect(&mut self, keys: &[&'static str]) {
        for key in keys {
            if self.take(key).is_some() {
                self.note(key, "without effect on this node");
            }
        }
    }

    /// The line of `key`; that of the mapping, if it is not there.
    pub(super) fn line_of(&self, key: &str) -> u64 {
        self.entries.iter().find(|(name, _)| name.text == key).map_or(self.line, |(name, _)| name.line)
    }

    /// Takes these without a word.
    pub(super) fn ignore(&mut self, keys: &[&'static str]) {
        for key in keys {
            let _ = self.take(key);
        }
    }

    /// Notes that `key`, which is there, has no effect.
    pub(super) fn note(&self, key: &str, message: &str) {
        let line = self.line_of(key);
        let note = ManifestError { line: Some(line), key: self.key(key), message: message.to_owned() };
        self.report.borrow_mut().notes.push(note);
    }

    /// Notes what is wrong with what is called `key` in full.
    pub(super) fn refuse_whole(&self, line: u64, key: &str, message: &str) {
        let error = ManifestError { line: Some(line), key: key.to_owned(), message: message.to_owned() };
        self.report.borrow_mut().problems.push(error);
    }

    /// Whether `key` is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(name, _)| name.text == key)
    }

    /// Whether there are fields that nobody took yet.
    pub(super) fn has_others(&self) -> bool {
        self.entries.iter().any(|(name, _)| !self.known.contains(&&*name.text))
    }

    /// Whether nothing is in it but `key`.
    pub(super) fn has_nothing_but(&self, key: &str) -> bool {
        self.entries.iter().all(|(name, node)| name.text == key || node.value == Value::Nothing)
    }

    /// Notes what nobody took.
    pub(super) fn finish(&self) {
        for (name, node) in self.entries.iter().filter(|(name, _)| !self.known.contains(&&*name.text)) {
            if node.value == Value::Nothing && known::to_kubernetes(&name.text) {
                continue;
            }
            let message = if known::to_kubernetes(&name.text) {
                "is not supported on this node".to_owned()
            } else {
                format!("unknown field, expected one of {}", self.known.join(", "))
            };
            self.refuse_at(name.line, &name.text, &message);
        }
    }
}

fn said(node: &Node) -> Option<Said<'_>> {
    match &node.value {
        Value::Text(text) => Some(Said { text, line: node.line }),
        Value::Nothing | Value::List(_) | Value::Map(_) => None,
    }
}
