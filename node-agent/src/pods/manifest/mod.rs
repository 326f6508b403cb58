//! From a file's text to the pods in it. A pod that is not understood in full is refused, with all lines and keys.

mod container;
mod credentials;
mod documents;
mod downward;
mod env;
mod expand;
mod files;
mod folder;
mod known;
mod lifecycle;
mod mounts;
mod names;
mod network;
pub mod objects;
mod pod;
mod ports;
mod probes;
mod quantity;
mod reader;
mod resources;
mod security;
mod tree;
mod volume;
mod workloads;

use std::{collections::BTreeSet, fs, path::Path};

use sha2::{Digest, Sha256};

use self::objects::ObjectKey;
use super::model::{Pod, Spec};

/// A larger file is not a manifest that a person wrote; the runtime keeps a copy of each.
const MAX_BYTES: u64 = 256 * 1024;

/// What is wrong with a manifest, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}{message}", at_line(*.line), at_key(.key))]
pub struct ManifestError {
    /// The line, from 1, if it is known.
    pub line: Option<u64>,
    /// The key, as `spec.containers[0].image`; may be empty.
    pub key: String,
    /// What is wrong with it.
    pub message: String,
}

fn at_line(line: Option<u64>) -> String {
    line.map_or_else(|| " ".to_owned(), |line| format!("{line}: "))
}

fn at_key(key: &str) -> String {
    if key.is_empty() { String::new() } else { format!("{key}: ") }
}

/// What a file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Read {
    /// The file, as the operator knows it.
    pub source: String,
    /// The pods in it that are understood.
    pub pods: Vec<Pod>,
    /// Why others are not, all of it.
    pub problems: Vec<ManifestError>,
    /// What beside the pods has no effect.
    pub notes: Vec<ManifestError>,
    /// ConfigMaps and Secrets that pods refer to and that are not in the file.
    pub missing: BTreeSet<ObjectKey>,
}

impl Read {
    /// A file, or a folder of files, that could not be read.
    pub fn unreadable(source: &str, message: String) -> Self {
        let problem = ManifestError { line: None, key: String::new(), message };
        Self { source: source.to_owned(), problems: vec![problem], ..Self::default() }
    }
}

/// The pods that `text`, which is YAML or JSON, describes; `source` is the file's name.
pub fn read(source: &str, text: &str) -> Read {
    let documents::Documents { pods, problems, notes, missing } = documents::read(text);
    let pod = |(spec, notes): (Spec, Vec<ManifestError>)| Pod {
        source: source.to_owned(),
        text: text.to_owned(),
        uid: uid(&spec),
        spec,
        notes: notes.iter().map(|note| note.to_string().trim().to_owned()).collect(),
    };
    Read { source: source.to_owned(), pods: pods.into_iter().map(pod).collect(), problems, notes, missing }
}

/// What kind of object the first document of `text` is.
pub(super) fn kind(text: &str) -> Option<String> {
    documents::kind(tree::documents(text).0.first()?)
}

/// What the file at `path` says, which the operator knows as `source`.
pub fn load(path: &Path, source: &str) -> Read {
    let size = match fs::metadata(path) {
        Ok(found) => found.len(),
        Err(error) => return Read::unreadable(source, error.to_string()),
    };
    if size > MAX_BYTES {
        return Read::unreadable(source, format!("is larger than {} KiB", MAX_BYTES / 1024));
    }
    match fs::read_to_string(path) {
        Ok(text) => with_folders(path, source, text),
        Err(error) => Read::unreadable(source, error.to_string()),
    }
}

/// What the text says, with the objects that it refers to and that have a folder beside the file.
fn with_folders(path: &Path, source: &str, text: String) -> Read {
    let read = self::read(source, &text);
    let Some(folder) = path.parent().filter(|_| !read.missing.is_empty()) else { return read };
    match folder::documents(folder, &read.missing, text.len()) {
        Ok(documents) if documents.is_empty() => read,
        Ok(documents) => self::read(source, &format!("{text}{documents}")),
        Err(error) => Read::unreadable(source, format!("{error:#}")),
    }
}

/// The one pod of `text`, else what is wrong with it first.
#[cfg(test)]
pub(in crate::pods) fn parse(source: &str, text: &str) -> Result<Pod, ManifestError> {
    let mut read = read(source, text);
    match (read.problems.is_empty(), read.pods.pop()) {
        (true, Some(pod)) => Ok(pod),
        (_, _) => Err(read.problems.remove(0)),
    }
}

/// A uid in the form of RFC 9562, version 8, from the meaning of the manifest.
fn uid(spec: &Spec) -> String {
    let meaning = serde_json::to_vec(spec).unwrap_or_default();
    let hash = Sha256::digest(&meaning);
    let hex = hex::encode(&hash[..16]);
    format!("{}-{}-8{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// Whether a uid has the form that [`uid`] gives: a kubelet's are of other versions, or none.
pub(super) fn is_own_uid(uid: &str) -> bool {
    let groups: Vec<&str> = uid.split('-').collect();
    let is_hex = |group: &str| group.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
    let lengths = groups.iter().map(|group| group.len());
    lengths.eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| is_hex(group))
        && groups[2].starts_with('8')
        && groups[3].starts_with('8')
}

#[cfg(test)]
mod tests;
