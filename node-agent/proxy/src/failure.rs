//! What kind of failure it was, for a client that wants to know: the protocol itself has only words for it.

use std::{fs::OpenOptions, io::Write, path::Path};

use anyhow::{Context, Error, Result};
use serde_json::{Value, json};

pub(super) use ballast_types::FailureKind as Kind;

/// A failure whose kind is known where it happens.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(super) struct Failed {
    kind: Kind,
    text: String,
}

impl Failed {
    pub(super) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

/// The kind of an error; nothing if it is none of these.
pub(super) fn kind(error: &Error) -> Option<Kind> {
    error.downcast_ref::<Failed>().map(|known| known.kind)
}

/// Appends what kind of failure `error` is to the file. A failure without a kind is not reported.
pub(super) fn report(file: &Path, error: &Error) -> Result<()> {
    let Some(kind) = kind(error) else { return Ok(()) };
    append(file, &json!({ "kind": kind, "message": format!("{error:#}") }))
}

/// Appends until when the signatures of an image that was opened are good.
pub(super) fn report_signed_until(file: &Path, until: u64) -> Result<()> {
    append(file, &json!({ "signed_until": until }))
}

/// Appends how many bytes of a blob have come that is held back until it is checked.
pub(super) fn report_received(file: &Path, blob: &str, bytes: u64) -> Result<()> {
    append(file, &json!({ "blob": blob, "received_bytes": bytes }))
}

fn append(file: &Path, line: &Value) -> Result<()> {
    let file = OpenOptions::new().append(true).open(file);
    file.and_then(|mut file| writeln!(file, "{line}")).context("reporting what the protocol has no words for")
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn kinds_are_reported() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = Error::new(Failed::new(Kind::Refused, "no")).context("opening x");
        report(file.path(), &anyhow!("other")).unwrap();
        report(file.path(), &refused).unwrap();
        report(file.path(), &anyhow!("y").context(Failed::new(Kind::NotFound, "none"))).unwrap();
        report_signed_until(file.path(), 7).unwrap();
        report_received(file.path(), "sha256:ab", 9).unwrap();
        let reported = std::fs::read_to_string(file.path()).unwrap();
        let expected = "{\"kind\":\"refused\",\"message\":\"opening x: no\"}\n{\"kind\":\"not-found\",\"message\":\"none: y\"}\n{\"signed_until\":7}\n{\"blob\":\"sha256:ab\",\"received_bytes\":9}\n";
        assert_eq!(reported, expected);
    }
}
