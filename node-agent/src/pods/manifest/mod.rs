//! From a manifest's text to a pod. A manifest that is not understood in full is refused, with the line and the key.

mod check;
mod expand;
mod known;
mod names;
mod quantity;
mod source;

use std::{fs, path::Path};

use serde_saphyr::{Error, Location};
use sha2::{Digest, Sha256};

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

/// The pod that `text`, which is YAML or JSON, describes; `source` is the file's name.
///
/// # Errors
/// If the text is not a v1 Pod, or asks for something that this node does not do.
pub fn parse(source: &str, text: &str) -> Result<Pod, ManifestError> {
    let spec = parse_spec(text)?;
    let uid = uid(&spec);
    Ok(Pod { source: source.to_owned(), text: text.to_owned(), uid, spec })
}

/// The pod that the file at `path` describes, which the operator knows as `source`.
///
/// # Errors
/// As [`parse`], or if the file cannot be read.
pub fn load(path: &Path, source: &str) -> Result<Pod, ManifestError> {
    let whole = |message: String| ManifestError { line: None, key: String::new(), message };
    let size = fs::metadata(path).map_err(|error| whole(error.to_string()))?.len();
    if size > MAX_BYTES {
        return Err(whole(format!("is larger than {} KiB", MAX_BYTES / 1024)));
    }
    let text = fs::read_to_string(path).map_err(|error| whole(error.to_string()))?;
    parse(source, &text)
}

fn parse_spec(text: &str) -> Result<Spec, ManifestError> {
    let mut key = String::new();
    let manifest = serde_saphyr::with_deserializer_from_str(text, |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            key = error.path().to_string();
            error.into_inner()
        })
    });
    let manifest: source::Manifest = manifest.map_err(|error| explain(&key, error.without_snippet()))?;
    check::spec(manifest)
}

/// One sentence from the parser's error, without its hints to programmers.
#[expect(clippy::wildcard_enum_match_arm, reason = "the parser's errors are many and may become more")]
fn explain(key: &str, error: &Error) -> ManifestError {
    let message = match error {
        Error::SerdeUnknownField { field, .. } if known::to_kubernetes(field) => {
            format!("is not supported on this node, {}", expected(error))
        }
        Error::SerdeUnknownField { .. } => format!("unknown field, {}", expected(error)),
        Error::SerdeMissingField { field, .. } => format!("the field `{field}` is missing"),
        Error::SerdeUnknownVariant { variant, .. } => format!("`{variant}` is unknown, {}", expected(error)),
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("the key `{key}` is given twice"),
        Error::InvalidBooleanStrict { .. } | Error::InvalidScalar { ty: "boolean", .. } => {
            "expected true or false".to_owned()
        }
        Error::InvalidScalar { ty, .. } if ty.starts_with(['u', 'i']) => "expected a number".to_owned(),
        Error::NullIntoString { .. } => "expected a text, found nothing".to_owned(),
        Error::Unexpected { expected, .. } => match *expected {
            "sequence start" => "expected a list".to_owned(),
            "mapping start" => "expected a mapping".to_owned(),
            "string scalar" => "expected a text".to_owned(),
            other => format!("expected {other}"),
        },
        Error::MultipleDocuments { .. } => "expected one document, found a second".to_owned(),
        Error::Eof { .. } => "the file is empty or ends too early".to_owned(),
        other => plain(other),
    };
    // Of what is missing the parser has the place where it stopped to look for it.
    let known = !matches!(error, Error::SerdeMissingField { .. });
    ManifestError { line: line(error.location()).filter(|_| known), key: written_key(key), message }
}

/// The key as it is written. serde_path_to_error says `.` for the whole and `?` for a key that it did not get to see; and
/// what we want to know the line of shows as a `.value` more, which only a variable's value really is.
fn written_key(key: &str) -> String {
    let key = key.replace(".value[", "[").trim_end_matches(".?").trim_matches('.').to_owned();
    match key.strip_suffix(".value") {
        Some(parent) if !parent.rsplit('.').next().is_some_and(|last| last.starts_with("env[")) => parent.to_owned(),
        Some(_) | None => key,
    }
}

/// `unknown field …, expected one of a, b at line 7, column 3` → `expected one of a, b`
fn expected(error: &Error) -> String {
    let text = plain(error);
    text.split_once(", ").map_or(text.clone(), |(_, expected)| expected.to_owned())
}

fn plain(error: &Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(message, _)| message.to_owned())
}

fn line(location: Option<Location>) -> Option<u64> {
    location.map(|location| location.line())
}

/// A uid in the form of RFC 9562, version 8, from the meaning of the manifest.
fn uid(spec: &Spec) -> String {
    let meaning = serde_json::to_vec(spec).unwrap_or_default();
    let hash = Sha256::digest(&meaning);
    let hex: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
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
