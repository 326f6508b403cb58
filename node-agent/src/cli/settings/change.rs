//! Asking the agent for a change of settings: what is different first, then how it ended.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use super::{Manner, screen};
use crate::{
    cli::{
        ask::{print, unexpected},
        exit,
        node::Node,
        operate::{Output, print_end},
    },
    report::socket::{Reply, Request},
    settings::model::{Change, Command, Edit, Failure, FailureKind, Outcome},
};

/// Has the agent make `edit` in this manner.
///
/// # Errors
/// If the agent cannot be asked, or goes away before the end.
pub(super) fn change(node: &Node, edit: Edit, manner: &Manner) -> Result<ExitCode> {
    let Manner { dry_run, try_secs, ref output } = *manner;
    operate(node, Command::Change(Change { edit, dry_run, try_secs }), output)
}

/// Has the agent do `command`, and prints how it ended.
///
/// # Errors
/// As for [`change`].
pub(super) fn operate(node: &Node, command: Command, output: &Output) -> Result<ExitCode> {
    let mut talk = node.open("settings", &Request::Change { operation: command })?;
    let end = loop {
        let reply = talk.next().context("waiting for the settings to change; ballast settings show says what holds");
        match reply? {
            Reply::Working {} => {}
            Reply::Planned(planned) if output.is_json() => drop(planned),
            Reply::Planned(planned) => print(&screen::planned(&planned, screen::is_coloured()))?,
            Reply::Changed(outcome) => break Ok(outcome),
            Reply::Unchanged(failure) => break Err(failure),
            other @ (Reply::Status(_)
            | Reply::Releases(_)
            | Reply::Settings(_)
            | Reply::Progress(_)
            | Reply::Done(_)
            | Reply::Failed(_)
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
    };
    ended(&end, output)
}

/// Prints how it ended, and returns the exit status.
///
/// # Errors
/// If standard output takes nothing.
pub(super) fn ended(end: &Result<Outcome, Failure>, output: &Output) -> Result<ExitCode> {
    print_end(end, |outcome| &outcome.message, output)?;
    Ok(match end {
        Ok(_) => ExitCode::SUCCESS,
        Err(failure) => ExitCode::from(match failure.kind {
            FailureKind::Refused => exit::REFUSED,
            FailureKind::Busy => exit::BUSY,
            FailureKind::Failed => 1,
        }),
    })
}
