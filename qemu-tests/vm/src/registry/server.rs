//! The registry's processes: one for pushing, which anybody may, and one for pulling that wants a password, over the same storage.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::tools::Tools;

/// It starts in a moment, but the host may be busy.
const START: Duration = Duration::from_secs(60);

/// Who may pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// The registry's own
    Node,
    /// Of a mirror that has other users
    Mirrored,
}

impl User {
    /// Name and password, with a colon between them. A space: it must not be lost on the way.
    pub fn credentials(self) -> &'static str {
        match self {
            Self::Node => "node:pass word",
            Self::Mirrored => "mirrored:other word",
        }
    }

    /// The two of them.
    pub fn name_and_password(self) -> (&'static str, &'static str) {
        self.credentials().split_once(':').unwrap_or_default()
    }

    /// The line of an htpasswd file: bcrypt, at its lowest cost.
    fn htpasswd(self) -> &'static str {
        match self {
            Self::Node => "node:$2b$04$abcdefghijklmnopqrstuuFcV8WPKEefLKdOWfX8pW1yTVya21P7a\n",
            Self::Mirrored => "mirrored:$2b$04$abcdefghijklmnopqrstuuZazDuc34jrqzt2fANrn92RUF/VSvllO\n",
        }
    }
}

/// A running registry, both fault proxies of it over plain HTTP on 127.0.0.1: TLS is the business of [`crate::fault_proxy::FaultProxy`].
pub struct Registry {
    /// Where anybody may push
    pub open: SocketAddr,
    /// Where [`User`] may pull
    pub guarded: SocketAddr,
    processes: Vec<Child>,
    _storage: TempDir,
}

impl Registry {
    /// Starts it, with its storage in a folder under `scratch`.
    ///
    /// # Errors
    /// When the program is missing or does not listen in time.
    pub fn start(tools: &Tools, scratch: &Path, user: User) -> Result<Self> {
        let storage = tempfile::Builder::new().prefix("registry-").tempdir_in(scratch);
        let storage = storage.context("making a folder for the registry")?;
        let path = storage.path();
        fs::write(path.join("htpasswd"), user.htpasswd()).context("writing the registry's users")?;
        let common = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {0}/data}}}}\n\
             http: {{addr: \"127.0.0.1:0\"}}\n",
            path.display()
        );
        let auth = format!("auth: {{htpasswd: {{realm: test, path: {}/htpasswd}}}}\n", path.display());
        let mut processes = Vec::new();
        let mut start = |name: &str, config: String| {
            let (child, address) = listen(tools, &path.join(format!("{name}.yml")), &config)?;
            processes.push(child);
            Ok::<_, anyhow::Error>(address)
        };
        let open = start("open", common.clone())?;
        let guarded = start("guarded", common + &auth)?;
        Ok(Self { open, guarded, processes, _storage: storage })
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        for process in &mut self.processes {
            // One that ended by itself needs no killing.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn listen(tools: &Tools, file: &Path, config: &str) -> Result<(Child, SocketAddr)> {
    fs::write(file, config).with_context(|| format!("writing {}", file.display()))?;
    let mut command = tools.dying_with_us("docker-registry");
    // Its traces would go to a collector that is not there.
    command.arg("serve").arg(file).env("OTEL_TRACES_EXPORTER", "none");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().context("starting docker-registry (`make setup` installs it)")?;
    let stderr = child.stderr.take().context("taking the registry's stderr")?;
    let (send, receive) = mpsc::channel();
    // Reads on to the end, so that the registry never waits for someone to read.
    std::thread::spawn(move || {
        let mut last = String::new();
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if let Some(address) = address(&line) {
                // The receiver is gone once it knows.
                let _ = send.send(Ok(address));
            }
            last = line;
        }
        let _ = send.send(Err(last));
    });
    match receive.recv_timeout(START) {
        Ok(Ok(address)) => Ok((child, address)),
        outcome => {
            let _ = child.kill();
            let _ = child.wait();
            let said = outcome.ok().and_then(Result::err).unwrap_or_default();
            bail!("docker-registry does not listen within {} s; it said: {said}", START.as_secs());
        }
    }
}

/// `… msg="listening on 127.0.0.1:40863" …`
fn address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("listening on ")?;
    rest.split(['"', ',', ' ']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_says_where_it_listens() {
        let line = "time=\"2026-11-21T00:00:00Z\" level=info msg=\"listening on 127.0.0.1:40863\" go.version=go1.24";
        assert_eq!(address(line), Some("127.0.0.1:40863".parse().unwrap()));
        assert_eq!(address("level=info msg=\"redis not configured\""), None);
    }
}
