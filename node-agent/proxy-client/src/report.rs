//! What the proxy reports in a file: on the way through its protocol, and through ostree-ext, the kind of a failure would be lost.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    os::{fd::AsRawFd, unix::fs::FileExt},
};

use anyhow::{Context, Error, Result};
use ballast_types::{Failure, FailureKind};
use rustix::fs::{MemfdFlags, memfd_create};
use serde::{Deserialize, Serialize};

/// A line of the file, in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Report {
    /// What went wrong.
    Failed {
        /// What a caller branches on.
        kind: FailureKind,
        /// For people.
        message: String,
    },
    /// An image was opened.
    Opened {
        /// When its signatures run out, in seconds since 1970.
        signed_until: u64,
    },
    /// Bytes have come of a blob that is held back until it is checked.
    Received {
        /// Its digest.
        blob: String,
        /// How many.
        received_bytes: u64,
    },
}

/// The file: in memory, and gone with the last process that has it.
#[derive(Debug)]
pub struct Reports(File);

impl Reports {
    /// An empty one, which programs that are started inherit.
    ///
    /// # Errors
    /// If there is no memory for it.
    pub(crate) fn new() -> Result<Self> {
        let file = memfd_create("failures", MemfdFlags::empty()).context("making a file for the proxy's failures")?;
        Ok(Self(file.into()))
    }

    /// Its name for who inherits it.
    pub(crate) fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.0.as_raw_fd())
    }

    /// When the signatures of the image that was opened run out, in seconds since 1970, if the proxy says so.
    pub fn signed_until(&self) -> Option<u64> {
        signed_until(&self.text()?)
    }

    /// The error as the proxy knew it; `error` if it was not the proxy's.
    pub fn explain(&self, error: Error) -> Error {
        self.text().and_then(|text| failure(&text)).map_or(error, Error::from)
    }

    /// What the proxy says of blobs as they come.
    ///
    /// # Errors
    /// If the file cannot be shared.
    pub fn reception(&self) -> Result<Reception> {
        Ok(Reception { file: self.0.try_clone().context("following the proxy's reports")?, read_bytes: 0 })
    }

    fn text(&self) -> Option<String> {
        let (mut text, mut file) = (String::new(), &self.0);
        file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text)).ok().map(|_| text)
    }
}

/// Follows how much of a blob has come.
#[derive(Debug)]
pub struct Reception {
    file: File,
    read_bytes: u64,
}

impl Reception {
    /// The last that was reported since this was asked before: a blob's digest, and how many bytes of it have come. How far a fetch is, is no
    /// reason to fail: what cannot be read is left out.
    pub fn latest(&mut self) -> Option<(String, u64)> {
        let (mut text, mut piece) = (Vec::new(), [0; 4096]);
        while let Ok(bytes @ 1..) = self.file.read_at(&mut piece, self.read_bytes + text.len() as u64) {
            text.extend_from_slice(&piece[..bytes]);
        }
        // A line that is being written is read when it is whole.
        text.truncate(text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        self.read_bytes += text.len() as u64;
        reports(&String::from_utf8_lossy(&text)).rev().find_map(|report| match report {
            Report::Received { blob, received_bytes } => Some((blob, received_bytes)),
            Report::Failed { .. } | Report::Opened { .. } => None,
        })
    }
}

fn reports(text: &str) -> impl DoubleEndedIterator<Item = Report> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok())
}

/// The last one is what the proxy gave up for.
fn failure(text: &str) -> Option<Failure> {
    reports(text).rev().find_map(|report| match report {
        Report::Failed { kind, message } => Some(Failure::new(kind, message)),
        Report::Opened { .. } | Report::Received { .. } => None,
    })
}

fn signed_until(text: &str) -> Option<u64> {
    reports(text).rev().find_map(|report| match report {
        Report::Opened { signed_until } => Some(signed_until),
        Report::Failed { .. } | Report::Received { .. } => None,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_last_failure_counts() {
        let reports = Reports::new().unwrap();
        let said = |error: Error| error.downcast::<Failure>().ok().map(|failure| (failure.kind(), failure.to_string()));
        assert_eq!((said(reports.explain(anyhow::anyhow!("x"))), reports.signed_until()), (None, None));
        let lines = [
            Report::Opened { signed_until: 7 },
            Report::Failed { kind: FailureKind::Unreachable, message: "a".to_owned() },
            Report::Failed { kind: FailureKind::Refused, message: "b".to_owned() },
        ];
        for line in lines {
            writeln!(&reports.0, "{}\nno JSON", serde_json::to_string(&line).unwrap()).unwrap();
        }
        let expected = (FailureKind::Refused, "b".to_owned());
        assert_eq!((said(reports.explain(anyhow::anyhow!("x"))), reports.signed_until()), (Some(expected), Some(7)));
    }

    #[test]
    fn what_has_come_is_followed_line_by_line() {
        let reports = Reports::new().unwrap();
        let mut reception = reports.reception().unwrap();
        assert_eq!(reception.latest(), None);
        let write = |text: &str| write!(&reports.0, "{text}").unwrap();
        let received = |bytes| Some(("sha256:ab".to_owned(), bytes));
        let line = |bytes: u64| format!("{{\"blob\":\"sha256:ab\",\"received_bytes\":{bytes}}}\n");
        let next = line(3);
        let (begin, end) = next.split_at(9);
        write(&format!("{}{}no JSON\n{{\"signed_until\":7}}\n{begin}", line(1), line(2)));
        assert_eq!(reception.latest(), received(2));
        assert_eq!(reception.latest(), None);
        write(end);
        assert_eq!(reception.latest(), received(3));
    }
}
