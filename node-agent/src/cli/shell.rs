//! `ballast shell`: a shell with all rights on the node.

use std::{io::IsTerminal, process::ExitCode};

use anyhow::Result;

use super::{exec::attend, node::Node};
use crate::report::{
    exec::{Shell, wanted_shell},
    socket::Request,
};

/// Opens a shell on the node, in a privileged container of a toolbox, with the host at /host
///
/// It shares the host's network, processes and IPC. It ends with this command or its time, leaves nothing, and is in the journal and the status.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: the command's; 1 also if it could not be run, was not allowed or its time was over; 2 wrong usage."
)]
pub(super) struct Arguments {
    /// The toolbox, signed as a release is; without it debug.image of the settings
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,

    /// How long it is open at most
    #[arg(long, value_name = "MINUTES", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=480))]
    minutes: u64,

    /// The program and its arguments; without them bash -l
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) fn run(arguments: Arguments, node: &Node) -> Result<ExitCode> {
    let Arguments { image, minutes, command } = arguments;
    let tty = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let usual = wanted_shell::of_query("").map_err(anyhow::Error::msg)?;
    let command = if command.is_empty() { usual.command } else { command };
    let wanted = Shell { image, secs: minutes * 60, stdin: true, tty, command };
    attend(node, "shell", &Request::Shell(wanted), true, tty)
}
