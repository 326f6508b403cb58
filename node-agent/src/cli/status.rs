//! `ballast status`: asks the agent how the node is.

use std::{io::IsTerminal, process::ExitCode};

use anyhow::{Context, Result};

use super::{
    ask::{print, status},
    exit, screen,
};
use crate::clients::host::Host;

/// Shows the state of the node: release, readiness, boot time, runtime, pods
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 the node is ready; 3 it is not; 1 the agent could not be asked; 2 wrong usage.")]
pub(super) struct Arguments {
    /// Prints JSON, for programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, host: &Host) -> Result<ExitCode> {
    let status = status(host, "status")?;
    let text = match arguments.json {
        true => serde_json::to_string_pretty(&status).context("encoding the status")? + "\n",
        false => screen::render(&status, std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()),
    };
    print(&text)?;
    Ok(if status.ready { ExitCode::SUCCESS } else { ExitCode::from(exit::NOT_READY) })
}
