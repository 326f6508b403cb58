//! Volumes whose files the manifest itself says: configMap, secret, downwardAPI, projected.

use std::collections::BTreeMap;

use super::{
    downward::{self, ByContainer, Into},
    env::Metadata,
    objects::{ObjectKind, Objects, wanted},
    reader::{Fields, Said},
};
use crate::pods::model::{File, FileContent};

/// What others may read, unless a mode is said.
const DEFAULT_MODE: u32 = 0o644;

/// From where files take their content.
pub(super) struct Sources<'a> {
    pub(super) metadata: &'a Metadata,
    pub(super) objects: &'a Objects,
    pub(super) resources: &'a ByContainer,
}

/// Files by their path in the volume.
pub(super) type Files = BTreeMap<String, File>;

/// A volume of a ConfigMap or Secret; a Secret's is named by `secretName`.
pub(super) fn object(mut fields: Fields<'_>, kind: ObjectKind, sources: &Sources<'_>) -> Files {
    let mode = mode(&mut fields, "defaultMode").unwrap_or(DEFAULT_MODE);
    let name = match kind {
        ObjectKind::ConfigMap => "name",
        ObjectKind::Secret => "secretName",
    };
    items_of(fields, kind, name, mode, sources)
}

/// `name` is the field that names the object.
fn items_of(
    mut fields: Fields<'_>,
    kind: ObjectKind,
    name: &'static str,
    default_mode: u32,
    sources: &Sources<'_>,
) -> Files {
    let said = fields.need(name);
    let is_optional = fields.flag("optional").unwrap_or_default();
    let items: Vec<(Said<'_>, String, Option<u32>)> = fields.all("items").into_iter().filter_map(item).collect();
    let has_items = fields.take("items").is_some();
    fields.finish();
    let Some(said) = said else { return Files::new() };
    let object = sources.metadata.object(kind, said.text);
    let Some(content) = wanted(sources.objects, &object, is_optional, said, &fields, name) else { return Files::new() };
    let budget = sources.objects.budget();
    let file = |bytes: &crate::pods::model::Content, mode| {
        budget.room(&fields, said.line, name, bytes.bytes().len(), ())?;
        Some(File { content: FileContent::Bytes(bytes.clone()), mode })
    };
    if !has_items {
        return content.iter().filter_map(|(key, bytes)| Some((key.clone(), file(bytes, default_mode)?))).collect();
    }
    let mut files = Files::new();
    for (key, path, mode) in items {
        match content.get(key.text) {
            Some(bytes) => files.extend(file(bytes, mode.unwrap_or(default_mode)).map(|file| (path, file))),
            None if is_optional => {}
            None => {
                let message = format!("the {} {} has no key {}", kind.name(), said.text, key.text);
                fields.refuse_at(key.line, "items", &message);
            }
        }
    }
    files
}

fn item<'a>(mut fields: Fields<'a>) -> Option<(Said<'a>, String, Option<u32>)> {
    let (key, path, mode) = (fields.need("key"), path(&mut fields), mode(&mut fields, "mode"));
    fields.finish();
    Some((key?, path?, mode))
}

/// A volume of the pod's own fields.
pub(super) fn downward(mut fields: Fields<'_>, sources: &Sources<'_>) -> Files {
    let mode = mode(&mut fields, "defaultMode").unwrap_or(DEFAULT_MODE);
    own_fields(fields, mode, sources)
}

fn own_fields(mut fields: Fields<'_>, default_mode: u32, sources: &Sources<'_>) -> Files {
    let mut files = Files::new();
    for mut item in fields.all("items") {
        let (path, mode) = (path(&mut item), mode(&mut item, "mode").unwrap_or(default_mode));
        let field = item.fields("fieldRef").map(|own| downward::field_ref(own, sources.metadata, Into::File));
        let resource =
            item.fields("resourceFieldRef").map(|own| downward::resource_ref(own, sources.resources, Into::File));
        if field.is_some() == resource.is_some() {
            item.refuse_at(item.line(), "", "expected one of fieldRef, resourceFieldRef");
        }
        item.finish();
        let text = field.or(resource).flatten();
        let text = text.and_then(|text| sources.objects.budget().room(&item, item.line(), "", text.len(), text));
        if let (Some(path), Some(text)) = (path, text) {
            files.insert(path, File { content: FileContent::Text(text), mode });
        }
    }
    fields.finish();
    files
}

/// Several of these in one volume; of two files at one path the later one is seen. With it: whether a Secret is among them.
pub(super) fn projected(mut fields: Fields<'_>, sources: &Sources<'_>) -> Files {
    const KINDS: &str = "expected one of configMap, secret, downwardAPI";
    let mode = mode(&mut fields, "defaultMode").unwrap_or(DEFAULT_MODE);
    let mut files = Files::new();
    for mut source in fields.all("sources") {
        let found = [
            source.fields("configMap").map(|own| items_of(own, ObjectKind::ConfigMap, "name", mode, sources)),
            source.fields("secret").map(|own| items_of(own, ObjectKind::Secret, "name", mode, sources)),
            source.fields("downwardAPI").map(|own| own_fields(own, mode, sources)),
        ];
        let mut found = found.into_iter().flatten();
        let first = found.next();
        for key in ["serviceAccountToken", "clusterTrustBundle", "podCertificate"] {
            if let Some(node) = source.take(key) {
                source.refuse_at(node.line, key, "needs a Kubernetes API server");
            }
        }
        if found.next().is_some() || first.is_none() && source.has_nothing_but("") {
            source.refuse_at(source.line(), "", KINDS);
        }
        source.finish();
        files.extend(first.unwrap_or_default());
    }
    fields.finish();
    files
}

fn path(fields: &mut Fields<'_>) -> Option<String> {
    let path = fields.need("path")?;
    let is_valid = super::mounts::is_inside(path.text) && !path.text.starts_with("..");
    fields.require(is_valid, path, "path", "expected a relative path without `..`");
    is_valid.then(|| path.text.trim_end_matches('/').to_owned())
}

/// Octal with a zero before it, as people write it; decimal as JSON does.
fn mode(fields: &mut Fields<'_>, key: &'static str) -> Option<u32> {
    let said = fields.text(key)?;
    let octal = said.text.strip_prefix("0o").or_else(|| said.text.strip_prefix('0')).filter(|rest| !rest.is_empty());
    let mode = match octal {
        Some(digits) => u32::from_str_radix(digits, 8).ok(),
        None => said.text.parse().ok(),
    };
    let mode = mode.filter(|mode| *mode <= 0o777);
    fields.require(mode.is_some(), said, key, "expected a mode from 0 to 0777 (octal with a leading 0), or to 511");
    mode
}
