//! What kind of failure it was, for a client that wants to know: the protocol itself has only words for it.

use std::{fs::OpenOptions, io::Write, path::Path};

use anyhow::{Context, Error, Result};
use ballast_proxy_client::Report;

use crate::content::digest::Digest;
pub(super) use ballast_types::{Failure as Failed, FailureKind as Kind};

/// The kind of an error; nothing if it is none of these.
pub(super) fn kind(error: &Error) -> Option<Kind> {
    error.downcast_ref::<Failed>().map(Failed::kind)
}

/// Appends what kind of failure `error` is to the file. A failure without a kind is not reported.
pub(super) fn report(file: &Path, error: &Error) -> Result<()> {
    let Some(kind) = kind(error) else { return Ok(()) };
    append(file, &Report::Failed { kind, message: format!("{error:#}") })
}

/// Appends until when the signatures of an image that was opened are good.
pub(super) fn report_signed_until(file: &Path, until: u64) -> Result<()> {
    append(file, &Report::Opened { signed_until: until })
}

/// Appends how many bytes of a blob have come that is held back until it is checked.
pub(super) fn report_received(file: &Path, blob: &Digest, received_bytes: u64) -> Result<()> {
    append(file, &Report::Received { blob: blob.to_string(), received_bytes })
}

fn append(file: &Path, report: &Report) -> Result<()> {
    let line = serde_json::to_string(report).context("encoding a report")?;
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
        let blob = format!("sha256:{}", "ab".repeat(32));
        report_received(file.path(), &blob.parse().unwrap(), 9).unwrap();
        let reported = std::fs::read_to_string(file.path()).unwrap();
        let expected = format!(
            "{}{{\"blob\":\"{blob}\",\"received_bytes\":9}}\n",
            "{\"kind\":\"refused\",\"message\":\"opening x: no\"}\n{\"kind\":\"not-found\",\"message\":\"none: y\"}\n{\"signed_until\":7}\n"
        );
        assert_eq!(reported, expected);
    }
}
