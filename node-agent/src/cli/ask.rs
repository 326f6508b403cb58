//! Asking the agent over its socket, and printing the answer: what the commands have in common.

use std::{
    io::{BufRead, BufReader, ErrorKind, IsTerminal, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};

use super::{node::Node, remote::Talk};
use crate::{
    clients::host::Host,
    report::{
        exec::Inputs,
        releases::Releases,
        socket::{HEARTBEAT, Reply, Request, SOCKET},
        status::Status,
    },
    settings::model::Shown,
    update::model::{Failure, Outcome},
};

/// The agent answers at once, from memory; a machine that is busy beyond its means gives it its turn later.
const DEADLINE: Duration = Duration::from_secs(20);

/// A conversation with an agent: one request, its replies.
pub(super) enum Conversation {
    /// With this node's, over its socket.
    Socket {
        /// What it says.
        lines: BufReader<UnixStream>,
        /// How long it may say nothing.
        timeout: Duration,
    },
    /// With another node's, over its API.
    Api(Box<Talk>),
}

impl Conversation {
    /// Connects to the agent of `node`, and asks `request` for the command line `command`. Who sits at the terminal may be asked whether a
    /// node is the right one if `may_ask`.
    ///
    /// # Errors
    /// In one sentence with the remedy, if the agent cannot be asked.
    pub(super) fn open(node: &Node, command: &str, request: &Request, may_ask: bool) -> Result<Self> {
        Self::with_inputs(node, command, request, None, may_ask)
    }

    /// The same for a request after which `inputs` have something to say.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub(super) fn with_inputs(
        node: &Node,
        command: &str,
        request: &Request,
        inputs: Option<Inputs>,
        may_ask: bool,
    ) -> Result<Self> {
        match node {
            Node::Here(host) => Self::over_socket(host, command, request, inputs),
            Node::There(remote) => {
                remote.open(request, inputs, timeout(request), may_ask).map(|talk| Self::Api(Box::new(talk)))
            }
        }
    }

    fn over_socket(host: &Host, command: &str, request: &Request, inputs: Option<Inputs>) -> Result<Self> {
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
        let doing = "asking the agent";
        let timeout = timeout(request);
        stream.set_read_timeout(Some(timeout)).context(doing)?;
        let mut text = serde_json::to_vec(request).context(doing)?;
        text.push(b'\n');
        stream.write_all(&text).context(doing)?;
        if let Some(inputs) = inputs {
            let stream = stream.try_clone().context(doing)?;
            std::thread::spawn(move || pass_on(inputs, stream));
        }
        Ok(Self::Socket { lines: BufReader::new(stream), timeout })
    }

    /// The agent's next word.
    ///
    /// # Errors
    /// If none comes.
    pub(super) fn next(&mut self) -> Result<Reply> {
        let reply = match self {
            Self::Api(talk) => talk.next()?,
            Self::Socket { lines, timeout } => {
                let mut line = String::new();
                match lines.read_line(&mut line) {
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        bail!("the agent did not answer within {} s", timeout.as_secs())
                    }
                    read => read.context("asking the agent")?,
                };
                if line.is_empty() {
                    bail!("the agent closed the connection without an answer; see journalctl -u ballast");
                }
                serde_json::from_str(&line).context("reading the agent's answer")?
            }
        };
        if let Reply::Error(error) = reply {
            bail!("the agent refused: {error}");
        }
        Ok(reply)
    }
}

/// Says what `inputs` say. That nobody listens is seen where the answer is read.
fn pass_on(mut inputs: Inputs, mut stream: UnixStream) {
    while let Some(input) = inputs.blocking_recv() {
        let line = serde_json::to_string(&input).unwrap_or_default() + "\n";
        if stream.write_all(line.as_bytes()).is_err() {
            return;
        }
    }
}

/// How long the agent may say nothing.
fn timeout(request: &Request) -> Duration {
    match request {
        Request::Status {}
        | Request::Releases {}
        | Request::Settings {}
        | Request::Document {}
        | Request::Metrics {}
        | Request::Images {} => DEADLINE,
        // Three heartbeats may get lost on a busy machine.
        Request::Run { .. }
        | Request::Power(_)
        | Request::Change { .. }
        | Request::Logs(_)
        | Request::Exec(_)
        | Request::Shell(_)
        | Request::Image { .. }
        | Request::SupportBundle {} => HEARTBEAT * 4,
        // They ask others, who may not answer.
        Request::Doctor {} | Request::Inspect { .. } | Request::Reset { .. } => DEADLINE * 2,
    }
}

/// The node's status, for the command `command`.
///
/// # Errors
/// In one sentence with the remedy, if the agent cannot be asked or does not answer.
pub(super) fn status(node: &Node, command: &str) -> Result<Status> {
    let reply = node.open(command, &Request::Status {})?.next()?;
    let Reply::Status(status) = reply else { bail!(unexpected(&reply)) };
    Ok(*status)
}

/// The releases on the node.
///
/// # Errors
/// As for [`status`].
pub(super) fn releases(node: &Node) -> Result<Releases> {
    let reply = node.open("releases", &Request::Releases {})?.next()?;
    let Reply::Releases(releases) = reply else { bail!(unexpected(&reply)) };
    Ok(releases)
}

/// The settings, and where they are from.
///
/// # Errors
/// As for [`status`].
pub(super) fn settings(node: &Node) -> Result<Shown> {
    let reply = node.open("settings", &Request::Settings {})?.next()?;
    let Reply::Settings(shown) = reply else { bail!(unexpected(&reply)) };
    Ok(*shown)
}

/// Asks `question` at the terminal, and returns whether the answer is yes; without a terminal it is no.
///
/// # Errors
/// If the terminal cannot be written to or read from.
pub(super) fn confirm(question: &str) -> Result<bool> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(false);
    }
    let mut out = std::io::stderr().lock();
    write!(out, "{question} [yes/no] ").and_then(|()| out.flush()).context("asking")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).context("reading the answer")?;
    Ok(answer.trim() == "yes")
}

/// How an operation ended, if `reply` says so.
///
/// # Errors
/// If it says something else.
pub(super) fn end(reply: Reply) -> Result<Result<Outcome, Failure>> {
    if let Reply::Done(outcome) = reply {
        Ok(Ok(outcome))
    } else if let Reply::Failed(failure) = reply {
        Ok(Err(failure))
    } else {
        bail!(unexpected(&reply))
    }
}

/// An agent of another version may answer so.
pub(super) fn unexpected(reply: &Reply) -> String {
    format!("the agent answered with something else: {reply:?}")
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
