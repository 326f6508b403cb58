//! ConfigMaps and Secrets that stand beside pods, and what pods ask them for.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    expand::Budget,
    names,
    pod::METADATA_WITHOUT_EFFECT,
    reader::{Fields, Said},
};
use crate::pods::model::Content;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectKind {
    /// What anybody may read.
    ConfigMap,
    /// What nobody but the pod may.
    Secret,
}

impl ObjectKind {
    /// As Kubernetes writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectKey {
    /// ConfigMap or Secret.
    pub kind: ObjectKind,
    /// metadata.namespace
    pub namespace: String,
    /// metadata.name
    pub name: String,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}/{}", self.kind.name(), self.namespace, self.name)
    }
}

/// The objects of a file, and who asked for which.
#[derive(Debug, Default)]
pub(super) struct Objects {
    all: BTreeMap<ObjectKey, BTreeMap<String, Content>>,
    asked: RefCell<BTreeSet<ObjectKey>>,
    budget: Budget,
}

impl Objects {
    /// Takes a document of this kind; None if it has no name.
    pub(super) fn add(&mut self, kind: ObjectKind, mut fields: Fields<'_>) -> Option<ObjectKey> {
        fields.ignore(&["kind", "apiVersion", "type", "immutable"]);
        let metadata = fields.fields("metadata");
        if metadata.is_none() {
            fields.refuse_at(fields.line(), "", "the field `metadata` is missing");
        }
        let mut metadata = metadata?;
        let name = metadata.need("name")?;
        metadata.require(names::is_subdomain(name.text), name, "name", super::pod::NAME);
        let namespace = metadata.text("namespace").map_or(crate::pods::model::DEFAULT_NAMESPACE, |said| said.text);
        metadata.ignore(&["labels", "annotations"]);
        metadata.ignore(&METADATA_WITHOUT_EFFECT);
        metadata.finish();
        let key = ObjectKey { kind, namespace: namespace.to_owned(), name: name.text.to_owned() };
        let mut data = BTreeMap::new();
        match kind {
            ObjectKind::ConfigMap => {
                data.extend(encoded(&mut fields, "binaryData"));
                data.extend(plain(&mut fields, "data"));
            }
            ObjectKind::Secret => {
                data.extend(encoded(&mut fields, "data"));
                data.extend(plain(&mut fields, "stringData"));
            }
        }
        fields.finish();
        if self.all.insert(key.clone(), data).is_some() {
            fields.refuse_at(fields.line(), "", &format!("{key} is given twice"));
        }
        Some(key)
    }

    /// What the pods of the file may still take.
    pub(super) fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The content of an object; None if it is not there.
    pub(super) fn get(&self, key: &ObjectKey) -> Option<&BTreeMap<String, Content>> {
        self.asked.borrow_mut().insert(key.clone());
        self.all.get(key)
    }

    /// Whether a pod asked for it.
    pub(super) fn is_asked_for(&self, key: &ObjectKey) -> bool {
        self.asked.borrow().contains(key)
    }

    /// What pods asked for and is not there.
    pub(super) fn missing(&self) -> BTreeSet<ObjectKey> {
        self.asked.borrow().iter().filter(|key| !self.all.contains_key(key)).cloned().collect()
    }
}

/// The content that `fields` asks for at `key`, else that it is missing, unless it may be.
pub(super) fn wanted<'a>(
    objects: &'a Objects,
    key: &ObjectKey,
    is_optional: bool,
    said: Said<'_>,
    fields: &Fields<'_>,
    field: &str,
) -> Option<&'a BTreeMap<String, Content>> {
    let found = objects.get(key);
    if found.is_none() && !is_optional {
        let ObjectKey { kind, namespace, name } = key;
        let message = format!(
            "there is no {} {name} in the namespace {namespace}: put it into this file as a document, or its files into a folder \
             {name} beside this file",
            kind.name()
        );
        fields.refuse_at(said.line, field, &message);
    }
    found
}

/// What the key of an object may look like.
pub(super) fn is_key(key: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    !key.is_empty() && key.len() <= 253 && key.bytes().all(is_plain) && key != "." && !key.starts_with("..")
}

fn plain(fields: &mut Fields<'_>, field: &'static str) -> BTreeMap<String, Content> {
    let (line, texts) = (fields.line_of(field), fields.map(field));
    check(fields, line, field, texts.keys());
    texts.into_iter().map(|(key, text)| (key, Content::of(text.into_bytes()))).collect()
}

fn encoded(fields: &mut Fields<'_>, field: &'static str) -> BTreeMap<String, Content> {
    let (line, texts) = (fields.line_of(field), fields.map(field));
    check(fields, line, field, texts.keys());
    let mut all = BTreeMap::new();
    for (key, text) in texts {
        let packed: String = text.split_whitespace().collect();
        match STANDARD.decode(packed) {
            Ok(bytes) => drop(all.insert(key, Content::of(bytes))),
            Err(_) => {
                fields.refuse_at(line, &format!("{field}.{key}"), "expected base64; a plain text goes into stringData");
            }
        }
    }
    all
}

fn check<'k>(fields: &Fields<'_>, line: u64, field: &str, keys: impl Iterator<Item = &'k String>) {
    for key in keys.filter(|key| !is_key(key)) {
        let message = "expected a key of letters, digits, hyphens, underscores and dots";
        fields.refuse_at(line, &format!("{field}.{key}"), message);
    }
}
