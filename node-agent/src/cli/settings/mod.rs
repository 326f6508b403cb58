//! `ballast settings`: one file per command.

mod apply;
mod boot;
mod change;
mod edit;
mod key;
mod screen;
mod show;
mod trial;

use std::process::ExitCode;

use anyhow::{Context, Result};

use super::{ask::print, node::Node, operate::Output};
use crate::settings::model::Command as Operation;

/// Shows and changes the settings of this node
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Show(show::Arguments),
    Get(key::Get),
    Set(key::Set),
    Unset(key::Unset),
    Edit(edit::Arguments),
    Apply(apply::Arguments),
    Confirm(trial::Confirm),
    Refetch(trial::Refetch),
    /// Prints the JSON Schema of the settings, for editors
    Schema,
    #[command(hide = true)]
    Boot(boot::Arguments),
}

/// How a change is made.
#[derive(Debug, clap::Args)]
struct Manner {
    /// Only shows what would change, and what the change needs
    #[arg(long)]
    dry_run: bool,

    /// Takes the change back after this time (30s, 5m, 1h), unless you run ballast settings confirm; a reboot starts the time again
    #[arg(long = "try", value_name = "DURATION", value_parser = trial::duration, conflicts_with = "dry_run")]
    try_secs: Option<u64>,

    #[command(flatten)]
    output: Output,
}

impl Arguments {
    /// Whether the command is the same on every node.
    pub(super) fn needs_no_node(&self) -> bool {
        matches!(self.command, Command::Schema)
    }
}

pub(super) fn run(arguments: Arguments, node: &Node) -> Result<ExitCode> {
    match arguments.command {
        Command::Show(arguments) => show::run(&arguments, node),
        Command::Get(arguments) => key::get(&arguments, node),
        Command::Set(arguments) => key::set(arguments, node),
        Command::Unset(arguments) => key::unset(arguments, node),
        Command::Edit(arguments) => edit::run(&arguments, node),
        Command::Apply(arguments) => apply::run(&arguments, node),
        Command::Confirm(arguments) => change::operate(node, Operation::Confirm, &arguments.output),
        Command::Refetch(arguments) => change::operate(node, Operation::Refetch, &arguments.output),
        Command::Schema => schema(),
        Command::Boot(arguments) => boot::run(&arguments, node.here("settings boot")?),
    }
}

pub(super) fn schema() -> Result<ExitCode> {
    let schema =
        serde_json::to_string_pretty(&ballast_settings::schema::json_schema()).context("encoding the schema")?;
    print(&(schema + "\n"))?;
    Ok(ExitCode::SUCCESS)
}
