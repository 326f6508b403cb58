//! The status socket: one JSON line asks, one JSON line answers. Only root can open it.

use std::{fs, io::ErrorKind, time::Duration};

use anyhow::{Context, Result, bail};
use rustix::{fs::Mode, process::umask};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{UnixListener, UnixStream},
    sync::watch,
    time::timeout,
};

use super::status::Status;
use crate::{clients::host::Host, report::socket::Request::Status as AskStatus};

/// Where the agent listens.
pub const SOCKET: &str = "/run/ballast/agent.sock";

/// Who connects and says nothing is not waited for longer.
const DEADLINE: Duration = Duration::from_secs(5);

/// A request is a short line; more is not read.
const MAX_REQUEST_BYTES: u64 = 4096;

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// The node's status.
    Status {},
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// The node's status.
    Status(Box<Status>),
    /// Why there is no answer.
    Error(String),
}

/// Starts to answer on the socket with what `status` last held.
///
/// # Errors
/// If the socket cannot be made.
pub fn serve(host: &Host, status: watch::Receiver<Status>) -> Result<()> {
    let path = host.path(SOCKET);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("removing the old {SOCKET}"));
        }
        Ok(()) | Err(_) => {}
    }
    // Closed to others from its first moment on, not a moment later by chmod.
    let before = umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
    let listener = UnixListener::bind(&path);
    umask(before);
    let listener = listener.with_context(|| format!("listening on {SOCKET}"))?;
    tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let status = status.clone();
                    tokio::spawn(async move {
                        match timeout(DEADLINE, answer(stream, &status)).await {
                            Ok(Ok(())) => {}
                            Ok(Err(error)) => log::debug!("answering on {SOCKET}: {error:#}"),
                            Err(_) => log::debug!("answering on {SOCKET}: took too long"),
                        }
                    });
                }
                Err(error) => {
                    log::warn!("accepting on {SOCKET}: {error}");
                    tokio::time::sleep(DEADLINE).await;
                }
            }
        }
    });
    Ok(())
}

async fn answer(mut stream: UnixStream, status: &watch::Receiver<Status>) -> Result<()> {
    let (reader, mut writer) = stream.split();
    let mut line = String::new();
    BufReader::new(reader.take(MAX_REQUEST_BYTES)).read_line(&mut line).await.context("reading the request")?;
    if line.is_empty() {
        bail!("closed without a request");
    }
    let reply = match serde_json::from_str(&line) {
        Ok(AskStatus {}) => Reply::Status(Box::new(status.borrow().clone())),
        Err(error) => Reply::Error(format!("unknown request: {error}")),
    };
    let mut text = serde_json::to_vec(&reply).context("encoding the reply")?;
    text.push(b'\n');
    writer.write_all(&text).await.context("writing the reply")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_one_line_of_json() {
        assert_eq!(serde_json::to_string(&AskStatus {}).unwrap(), r#"{"command":"status"}"#);
        assert_eq!(serde_json::from_str::<Request>(r#"{"command":"status"}"#).unwrap(), AskStatus {});
        assert!(serde_json::from_str::<Request>(r#"{"command":"reboot"}"#).is_err());
    }
}
