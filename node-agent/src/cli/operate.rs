//! Asking the agent for an operation and waiting for its end: what the commands that change releases have in common.

use std::{fmt::Display, io::IsTerminal, process::ExitCode};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::{
    ask::{print, unexpected},
    exit,
    node::Node,
    progress::Bar,
};
use crate::{
    report::socket::{Reply, Request},
    update::model::{Command, Failure, FailureKind, Outcome},
};

/// What all of them can be given.
#[derive(Debug, clap::Args)]
pub(super) struct Output {
    /// Prints JSON, for programs: {"done": …} or {"failed": {"kind", "message"}}
    #[arg(long)]
    json: bool,
}

impl Output {
    /// Whether programs read it.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum End<'a, D, F> {
    Done(&'a D),
    Failed(&'a F),
}

/// Prints how something ended, for programs or for people; `message` is what people read at a good end.
///
/// # Errors
/// If standard output takes nothing.
pub(super) fn print_end<D: Serialize, F: Serialize + Display>(
    end: &Result<D, F>,
    message: impl FnOnce(&D) -> &str,
    output: &Output,
) -> Result<()> {
    if output.json {
        let end = end.as_ref().map_or_else(End::Failed, End::Done);
        return print(&(serde_json::to_string_pretty(&end).context("encoding the outcome")? + "\n"));
    }
    match end {
        Ok(done) => print(&format!("{}\n", message(done))),
        Err(failure) => {
            eprintln!("ballast: {failure}");
            Ok(())
        }
    }
}

/// Has the agent do `command`, returns how far it is, and how it ended.
///
/// # Errors
/// If the agent cannot be asked, or goes away before the end.
pub(super) fn operate(node: &Node, command: Command, output: &Output) -> Result<ExitCode> {
    ended(&run(node, command, !output.json)?, output).map(|(code, _)| code)
}

/// The same, for a caller that decides by the outcome.
///
/// # Errors
/// As for [`operate`].
pub(super) fn run(node: &Node, command: Command, is_shown: bool) -> Result<Result<Outcome, Failure>> {
    let name = command.name();
    let mut talk = node.open(name, &Request::Run { operation: command })?;
    let mut bar = is_shown.then(|| Bar::new(std::io::stderr().is_terminal()));
    loop {
        let reply = talk.next().with_context(|| {
            format!(
                "waiting for the end of {name}; if the agent was restarted, ballast releases shows whether it goes on"
            )
        });
        match reply? {
            Reply::Progress(progress) => bar.iter_mut().for_each(|bar| bar.show(&progress)),
            Reply::Done(outcome) => return Ok(Ok(outcome)),
            Reply::Failed(failure) => return Ok(Err(failure)),
            other @ (Reply::Status(_)
            | Reply::Releases(_)
            | Reply::Settings(_)
            | Reply::Working {}
            | Reply::Planned(_)
            | Reply::Changed(_)
            | Reply::Unchanged(_)
            | Reply::Text(_)
            | Reply::Images(_)
            | Reply::Stdout(_)
            | Reply::Stderr(_)
            | Reply::Exited(_)
            | Reply::Inspected(_)
            | Reply::Findings(_)
            | Reply::Line(_)
            | Reply::End {}
            | Reply::Error(_)) => bail!(unexpected(&other)),
        }
    }
}

/// Prints how it ended; returns the exit status, and whether something is different now.
///
/// # Errors
/// If standard output takes nothing.
pub(super) fn ended(end: &Result<Outcome, Failure>, output: &Output) -> Result<(ExitCode, bool)> {
    print_end(end, |outcome| &outcome.message, output)?;
    match end {
        Ok(outcome) => Ok((ExitCode::SUCCESS, outcome.changed)),
        Err(failure) => {
            let code = match failure.kind {
                FailureKind::Refused | FailureKind::NotARelease | FailureKind::NotAnArtifact => exit::REFUSED,
                FailureKind::Busy => exit::BUSY,
                FailureKind::Unreachable
                | FailureKind::Unauthorized
                | FailureKind::NotFound
                | FailureKind::Damaged
                | FailureKind::NoSpace
                | FailureKind::Cancelled
                | FailureKind::Failed => 1,
            };
            Ok((ExitCode::from(code), false))
        }
    }
}
