//! spec.containers\[\].env and envFrom.

use std::collections::BTreeMap;

use super::{
    downward::{self, ByContainer, Into},
    expand::expanded,
    objects::{ObjectKey, ObjectKind, Objects, wanted},
    reader::Fields,
};
use crate::pods::model::{Content, Key};

/// What is known of the pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) key: Key,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
}

impl Metadata {
    /// The object of this name in the pod's namespace.
    pub(super) fn object(&self, kind: ObjectKind, name: &str) -> ObjectKey {
        ObjectKey { kind, namespace: self.key.namespace.clone(), name: name.to_owned() }
    }
}

/// From where variables take their values.
pub(super) struct Sources<'a> {
    pub(super) metadata: &'a Metadata,
    pub(super) objects: &'a Objects,
    pub(super) resources: &'a ByContainer,
    pub(super) container: &'a str,
}

/// All variables in order, the last of a name counts: those of envFrom first, then those of env, each of which is expanded by those of
/// env before it (so does the kubelet).
pub(super) fn env(fields: &mut Fields<'_>, sources: &Sources<'_>) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for from in fields.all("envFrom") {
        all.extend(env_from(from, sources));
    }
    let mut env: Vec<(String, String)> = Vec::new();
    for mut variable in fields.all("env") {
        let name = variable.need("name");
        if let Some(name) = name {
            variable.require(is_name(name.text), name, "name", "expected a name without =");
        }
        let value = variable.text("value");
        let from = variable.fields("valueFrom");
        let value = match (value, from) {
            (Some(_), Some(from)) => {
                from.refuse_at(from.line(), "", "is not possible beside a value");
                None
            }
            (None, Some(from)) => {
                let (line, budget) = (from.line(), sources.objects.budget());
                let value = value_from(from, sources);
                value.and_then(|value| budget.room(&variable, line, "valueFrom", value.len(), value))
            }
            (Some(said), None) => Some(expanded(&variable, said, "value", &env, sources.objects.budget())),
            (None, None) => Some(String::new()),
        };
        variable.finish();
        env.extend(name.and_then(|name| Some((name.text.to_owned(), value?))));
    }
    all.extend(env);
    all
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('=') && !name.contains('\0')
}

/// What is set by it; None if nothing is: what it refers to may be missing, or was refused.
fn value_from(mut fields: Fields<'_>, sources: &Sources<'_>) -> Option<String> {
    let found = [
        fields
            .fields("fieldRef")
            .map(|own| downward::field_ref(own, sources.metadata, Into::Variable(sources.container))),
        fields
            .fields("resourceFieldRef")
            .map(|own| downward::resource_ref(own, sources.resources, Into::Variable(sources.container))),
        fields.fields("configMapKeyRef").map(|own| key_ref(own, ObjectKind::ConfigMap, sources)),
        fields.fields("secretKeyRef").map(|own| key_ref(own, ObjectKind::Secret, sources)),
    ];
    let mut found = found.into_iter().flatten();
    let value = found.next();
    if found.next().is_some() || value.is_none() && !fields.has_others() {
        let message = "expected one of fieldRef, resourceFieldRef, configMapKeyRef, secretKeyRef";
        fields.refuse_at(fields.line(), "", message);
    }
    fields.finish();
    value.flatten()
}

fn key_ref(mut fields: Fields<'_>, kind: ObjectKind, sources: &Sources<'_>) -> Option<String> {
    let (name, key) = (fields.need("name"), fields.need("key"));
    let is_optional = fields.flag("optional").unwrap_or_default();
    fields.finish();
    let (name, key) = (name?, key?);
    let object = sources.metadata.object(kind, name.text);
    let content = wanted(sources.objects, &object, is_optional, name, &fields, "name")?;
    let value = content.get(key.text);
    if value.is_none() && !is_optional {
        fields.refuse_at(key.line, "key", &format!("the {} {} has no such key", kind.name(), name.text));
    }
    let text = value?.as_text();
    fields.require(text.is_some(), key, "key", "is not a text, and no variable can have it");
    text.map(str::to_owned)
}

fn env_from(mut fields: Fields<'_>, sources: &Sources<'_>) -> Vec<(String, String)> {
    let prefix = fields.text("prefix").map_or("", |said| said.text);
    let refs = [
        fields.fields("configMapRef").map(|own| (ObjectKind::ConfigMap, own)),
        fields.fields("secretRef").map(|own| (ObjectKind::Secret, own)),
    ];
    let mut found = refs.into_iter().flatten();
    let (first, second) = (found.next(), found.next());
    if second.is_some() || first.is_none() && !fields.has_others() {
        fields.refuse_at(fields.line(), "", "expected one of configMapRef, secretRef");
    }
    fields.finish();
    let Some((kind, mut own)) = first else { return Vec::new() };
    let name = own.need("name");
    let is_optional = own.flag("optional").unwrap_or_default();
    own.finish();
    let Some(name) = name else { return Vec::new() };
    let object = sources.metadata.object(kind, name.text);
    let Some(content) = wanted(sources.objects, &object, is_optional, name, &own, "name") else { return Vec::new() };
    let variable = |(key, value): (&String, &Content)| {
        let text = value.as_text();
        own.require(text.is_some(), name, "name", &format!("its key {key} is not a text, and no variable can have it"));
        let text = text?;
        let bytes = prefix.len() + key.len() + text.len();
        sources.objects.budget().room(&own, name.line, "name", bytes, ())?;
        Some((format!("{prefix}{key}"), text.to_owned()))
    };
    content.iter().filter_map(variable).collect()
}
