//! `ballast status`: asks the agent how the node is.

use std::{
    io::{BufRead, BufReader, ErrorKind, IsTerminal, Write},
    os::unix::net::UnixStream,
    path::Path,
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};

use super::screen;
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
const EXIT_NOT_READY: u8 = 3;

/// Shows how the node is: release, readiness, boot time, runtime, pods
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 the node is ready; 3 it is not; 1 the agent could not be asked; 2 wrong usage.")]
pub(super) struct Arguments {
    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, host: &Host) -> Result<ExitCode> {
    let status = ask(&host.path(SOCKET))?;
    let text = match arguments.json {
        true => serde_json::to_string_pretty(&status).context("encoding the status")? + "\n",
        false => screen::render(&status, std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()),
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        // `ballast status | head -1` is no error.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error).context("writing the status"),
        Ok(()) | Err(_) => {}
    }
    Ok(if status.ready { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NOT_READY) })
}

fn ask(socket: &Path) -> Result<Status> {
    let mut stream = UnixStream::connect(socket).map_err(|error| {
        let kind = error.kind();
        if kind == ErrorKind::PermissionDenied {
            anyhow!("only root may ask the agent; try sudo ballast status")
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
