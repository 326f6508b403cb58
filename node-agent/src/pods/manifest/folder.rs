//! ConfigMaps and Secrets as files: a folder of the object's name beside the manifest, a file for each key. They become documents, so that
//! the text of a manifest is whole.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result, bail};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{
    MAX_BYTES,
    objects::{ObjectKey, ObjectKind, is_key},
};

/// Documents for those of `wanted` that have a folder in `folder`; what a text of `length` bytes leaves room for.
///
/// # Errors
/// If a folder or file cannot be read, or there is too much in it.
pub(super) fn documents(folder: &Path, wanted: &BTreeSet<ObjectKey>, length: usize) -> Result<String> {
    let mut text = String::new();
    for object in wanted {
        let own = folder.join(&object.name);
        if !own.is_dir() {
            continue;
        }
        let data = read(&own, length + text.len()).with_context(|| format!("reading the folder {}", own.display()))?;
        let field = match object.kind {
            ObjectKind::ConfigMap => "binaryData",
            ObjectKind::Secret => "data",
        };
        let document = json!({
            "apiVersion": "v1",
            "kind": object.kind.name(),
            "metadata": { "name": object.name, "namespace": object.namespace },
            field: data,
        });
        text.push_str(&format!("\n---\n{document}\n"));
    }
    Ok(text)
}

/// Each file's content by its name. Hidden files but those for registries, and what is no file, are no keys.
fn read(folder: &Path, length: usize) -> Result<Map<String, Value>> {
    let mut data = Map::new();
    let mut room = MAX_BYTES.saturating_sub(u64::try_from(length)?);
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_hidden = name.starts_with('.') && !name.starts_with(".docker");
        if is_hidden || !is_key(&name) || !entry.path().is_file() {
            continue;
        }
        // In base64 it takes a third more.
        let size = fs::metadata(entry.path()).with_context(|| name.clone())?.len() / 3 * 4 + 4;
        let Some(left) = room.checked_sub(size) else {
            bail!("with its manifest it is larger than {} KiB", MAX_BYTES / 1024);
        };
        room = left;
        let content = fs::read(entry.path()).with_context(|| name.clone())?;
        data.insert(name, Value::String(STANDARD.encode(content)));
    }
    Ok(data)
}
