//! The command line: one file per command.

mod agent;
mod ask;
mod bless;
mod boot;
mod change;
mod clusters;
mod exit;
mod import;
mod metrics;
mod operate;
mod pods;
mod progress;
mod releases;
mod screen;
mod settings;
mod status;
mod upgrade;

use std::{path::PathBuf, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

use crate::clients::host::Host;

/// The node agent of Ballast, and its command line.
#[derive(Debug, Parser)]
#[command(name = "ballast", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,

    /// Works on a tree of files in place of the host's (for tests)
    #[arg(long, global = true, hide = true, default_value = "/", value_name = "FOLDER")]
    root: PathBuf,
}

#[derive(Debug, Subcommand)]
enum Command {
    Status(status::Arguments),
    Boot(boot::Arguments),
    Releases(releases::Arguments),
    Upgrade(upgrade::Arguments),
    Rollback(change::Rollback),
    /// Keeps a release until it is unpinned
    Pin(change::Named),
    /// Lets a pinned release be collected again
    Unpin(change::Named),
    /// Forgets that a release failed here, so that it may be tried again
    Allow(change::Named),
    Fsck(change::Fsck),
    Collect(change::Collect),
    Settings(settings::Arguments),
    Clusters(clusters::Arguments),
    Metrics(metrics::Arguments),
    Pods(pods::Arguments),
    Agent(agent::Arguments),
    #[command(hide = true)]
    Import(import::Arguments),
    #[command(hide = true)]
    Bless(bless::Arguments),
}

/// The command line as data: for man pages and completions.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// Parses the command line, does what it says, and returns the exit status.
pub fn run() -> ExitCode {
    let Arguments { command, root } = Arguments::parse();
    let host = Host::new(root);
    let result = match command {
        Command::Status(arguments) => status::run(&arguments, &host),
        Command::Boot(arguments) => boot::run(&arguments, &host),
        Command::Releases(arguments) => releases::run(&arguments, &host),
        Command::Upgrade(arguments) => upgrade::run(arguments, &host),
        Command::Rollback(arguments) => change::rollback(&arguments, &host),
        Command::Pin(arguments) => change::pin(arguments, &host),
        Command::Unpin(arguments) => change::unpin(arguments, &host),
        Command::Allow(arguments) => change::allow(arguments, &host),
        Command::Fsck(arguments) => change::fsck(&arguments, &host),
        Command::Collect(arguments) => change::collect(&arguments, &host),
        Command::Settings(arguments) => settings::run(arguments, &host),
        Command::Clusters(arguments) => clusters::run(&arguments, &host),
        Command::Pods(arguments) => pods::run(&arguments),
        Command::Metrics(arguments) => metrics::run(&arguments, &host),
        Command::Agent(agent::Arguments {}) => agent::run(host),
        Command::Import(import::Arguments {}) => import::run(&host),
        Command::Bless(bless::Arguments {}) => bless::run(&host),
    };
    result.unwrap_or_else(|error| {
        eprintln!("ballast: {error:#}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
