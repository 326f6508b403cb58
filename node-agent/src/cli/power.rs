//! `ballast reboot` and `ballast poweroff`.

use std::process::ExitCode;

use anyhow::Result;

use super::{
    ask::end,
    node::Node,
    operate::{Output, ended},
};
use crate::report::socket::{Power, Request};

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
    ended(&end(reply)?, &arguments.output).map(|(code, _)| code)
}
