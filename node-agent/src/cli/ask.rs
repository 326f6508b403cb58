//! Asking the agent over its socket, and printing what comes of it: what the commands have in common.

use std::{
    io::{BufRead, BufReader, ErrorKind, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};

use crate::{
    clients::host::Host,
    report::{
        socket::{Reply, Request, SOCKET},
        status::Status,
    },
};

/// The agent answers at once, from memory.
const DEADLINE: Duration = Duration::from_secs(5);

/// For scripts that wait for a node: told apart from "the question could not be asked" (1) and wrong usage (2).
pub(super) const EXIT_NOT_READY: u8 = 3;

/// The node's status, for the command `command`.
///
/// # Errors
/// In one sentence with the remedy, if the agent cannot be asked or does not answer.
pub(super) fn ask(host: &Host, command: &str) -> Result<Status> {
    let socket = &host.path(SOCKET);
    let mut stream = UnixStream::connect(socket).map_err(|error| {
        let kind = error.kind();
        if kind == ErrorKind::PermissionDenied {
            anyhow!("only root may ask the agent; try sudo ballast {command}")
        } else if matches!(kind, ErrorKind::NotFound | ErrorKind::ConnectionRefused) {
            anyhow!("the agent is not running; see systemctl status ballast")
        } else {
            anyhow!(error).context(format!("connecting to {}", socket.display()))
        }
    })?;
    let doing = "asking the agent for the status";
    stream.set_read_timeout(Some(DEADLINE)).context(doing)?;
    let mut request = serde_json::to_vec(&Request::Status {}).context(doing)?;
    request.push(b'\n');
    stream.write_all(&request).context(doing)?;
    let mut line = String::new();
    match BufReader::new(stream).read_line(&mut line) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            bail!("the agent did not answer within {} s", DEADLINE.as_secs())
        }
        read => read.context(doing)?,
    };
    if line.is_empty() {
        bail!("the agent closed the connection without an answer; see journalctl -u ballast");
    }
    match serde_json::from_str(&line).context("reading the agent's answer")? {
        Reply::Status(status) => Ok(*status),
        Reply::Error(error) => bail!("the agent refused: {error}"),
    }
}

/// Writes `text` to standard output.
///
/// # Errors
/// If it does not take it. That nobody reads on (`ballast status | head -1`) is no error.
pub(super) fn print(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("writing to standard output"),
        Ok(()) | Err(_) => Ok(()),
    }
}
