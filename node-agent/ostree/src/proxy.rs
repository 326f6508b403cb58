//! The image proxy that fetches for us: `image-proxy`, in skopeo's place, and what it says about failures.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    os::{fd::AsRawFd, unix::fs::FileExt},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Error, Result};
use ostree_ext::container::store::ImageProxyConfig;
use rustix::fs::{MemfdFlags, memfd_create};
use serde::Deserialize;

use crate::{
    failure::{Failure, Kind},
    image::Image,
    options::Proxy,
};

/// The proxy's service (image-proxy.socket).
const SERVICE: &str = "/run/image-proxy.sock";

/// Where the containers tools of root keep what `login` wrote.
const USUAL_CREDENTIALS: &str = "/run/containers/0/auth.json";

/// A proxy as it is to be started, and the file into which it writes why it failed: on the way through its protocol
/// and ostree-ext the kind would be lost.
pub(crate) struct Prepared {
    pub(crate) config: ImageProxyConfig,
    pub(crate) failures: Failures,
}

pub(crate) struct Failures(File);

/// A line of that file.
#[derive(Debug, Deserialize)]
struct Said {
    kind: Kind,
    message: String,
}

/// `image`'s; on a node (`root` is `/`) a registry is spoken to by the proxy's service, since this process has no network, and root is nobody
/// to read what a stranger sends. A folder, which root alone may be able to read, is read here.
pub(crate) fn prepare(root: &Path, image: &Image, options: &Proxy) -> Result<Prepared> {
    // In memory, and gone with the last process that has it; without CLOEXEC, since the proxy shall inherit it.
    let failures = memfd_create("failures", MemfdFlags::empty()).context("making a file for the proxy's failures")?;
    let mut command = Command::new(&options.proxy);
    command.arg("--failures").arg(format!("/proc/self/fd/{}", failures.as_raw_fd()));
    if root == Path::new("/") && !image.is_folder() {
        command.arg("--service").arg(SERVICE);
    }
    if let Some(policy) = &options.policy {
        command.arg("--policy").arg(policy);
    }
    if let Some(secs) = options.idle_timeout {
        command.arg("--idle-timeout").arg(secs.to_string());
    }
    if let Some(attempts) = options.attempts {
        command.arg("--attempts").arg(attempts.to_string());
    }
    let usual = || Some(PathBuf::from(USUAL_CREDENTIALS)).filter(|file| file.exists());
    let authfile = options.authfile.clone().or_else(usual);
    // Without credentials ostree-ext would look for its own.
    let auth_anonymous = authfile.is_none();
    let config = ImageProxyConfig { authfile, auth_anonymous, skopeo_cmd: Some(command), ..Default::default() };
    Ok(Prepared { config, failures: Failures(failures.into()) })
}

/// How much has come of a blob that the proxy holds back until it has checked it: another line of that file.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Received {
    pub(crate) blob: String,
    pub(crate) received_bytes: u64,
}

/// Follows these lines.
pub(crate) struct Reception {
    file: File,
    at: u64,
}

impl Reception {
    /// The last such line that was not read before. How far a fetch is, is no reason to fail: what cannot be read is left out.
    pub(crate) fn latest(&mut self) -> Option<Received> {
        let mut text = Vec::new();
        let mut piece = [0; 4096];
        while let Ok(bytes @ 1..) = self.file.read_at(&mut piece, self.at + text.len() as u64) {
            text.extend_from_slice(&piece[..bytes]);
        }
        // A line that is being written is read when it is whole.
        text.truncate(text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1));
        self.at += text.len() as u64;
        text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).next_back()
    }
}

/// Another line of it.
#[derive(Debug, Deserialize)]
struct Signed {
    signed_until: u64,
}

impl Failures {
    /// When the signatures of the image that was opened run out, in seconds since 1970, if the proxy says so.
    pub(crate) fn signed_until(&mut self) -> Option<u64> {
        signed(&self.read()?)
    }

    /// What the proxy says of blobs as they come.
    pub(crate) fn reception(&self) -> Result<Reception> {
        Ok(Reception { file: self.0.try_clone().context("following the proxy's reports")?, at: 0 })
    }

    fn read(&mut self) -> Option<String> {
        let mut text = String::new();
        let read = self.0.seek(SeekFrom::Start(0)).and_then(|_| self.0.read_to_string(&mut text));
        read.ok().map(|_| text)
    }

    /// The error as the proxy knew it, if it was the proxy's.
    pub(crate) fn explain(&mut self, error: Error) -> Error {
        match self.read().and_then(|text| last(&text)) {
            Some(Said { kind, message }) => Failure::new(kind, message).into(),
            None => error,
        }
    }
}

/// The last one is what the proxy gave up for.
fn last(text: &str) -> Option<Said> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).next_back()
}

fn signed(text: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .next_back()
        .map(|Signed { signed_until }| signed_until)
}

/// Whether that program is there: a missing one is notified by its name, not as a broken protocol.
pub(crate) fn check(program: &Path) -> Result<()> {
    program.metadata().map(drop).with_context(|| format!("looking for the image proxy {}", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_failure_counts() {
        let text = "{\"kind\":\"unreachable\",\"message\":\"a\"}\nx\n{\"kind\":\"refused\",\"message\":\"b\"}\n";
        let said = last(text).unwrap();
        assert_eq!((said.kind, said.message.as_str()), (Kind::Refused, "b"));
        assert!(last("").is_none());
        let text = format!("{{\"signed_until\":7}}\n{text}");
        assert_eq!((signed(&text), last(&text).unwrap().kind), (Some(7), Kind::Refused));
        assert_eq!(signed(""), None);
    }

    #[test]
    fn what_has_come_is_followed_line_by_line() {
        let file = tempfile::tempfile().unwrap();
        let mut reception = Reception { file: file.try_clone().unwrap(), at: 0 };
        assert_eq!(reception.latest(), None);
        let write = |text: &str| std::io::Write::write_all(&mut &file, text.as_bytes()).unwrap();
        let received = |received_bytes| Some(Received { blob: "sha256:ab".to_owned(), received_bytes });
        write(
            "{\"blob\":\"sha256:ab\",\"received_bytes\":1}\n{\"blob\":\"sha256:ab\",\"received_bytes\":2}\nx\n{\"blob\":",
        );
        assert_eq!(reception.latest(), received(2));
        assert_eq!(reception.latest(), None);
        write("\"sha256:ab\",\"received_bytes\":3}\n");
        assert_eq!(reception.latest(), received(3));
    }
}
