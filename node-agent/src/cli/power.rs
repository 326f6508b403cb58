//! `ballast reboot` and `ballast poweroff`.

use std::process::ExitCode;

use anyhow::{Result, bail};

use super::{
    ask::unexpected,
    node::Node,
    operate::{Output, ended},
};
use crate::report::socket::{Power, Reply, Request};

/// How to go down.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 the node goes down; 1 it does not; 2 wrong usage; 5 an operation is running, and --force was not given."
)]
pub(super) struct Arguments {
    /// Also while an upgrade or another operation is running
    #[arg(long)]
    force: bool,

    #[command(flatten)]
    output: Output,
}

pub(super) fn run(arguments: &Arguments, action: Power, node: &Node) -> Result<ExitCode> {
    let command = match action {
        Power::Reboot => "reboot",
        Power::Off => "poweroff",
    };
    let reply = node.open(command, &Request::Power { action, force: arguments.force })?.next()?;
    let end = if let Reply::Done(outcome) = reply {
        Ok(outcome)
    } else if let Reply::Failed(failure) = reply {
        Err(failure)
    } else {
        bail!(unexpected(&reply))
    };
    ended(&end, &arguments.output).map(|(code, _)| code)
}
