//! The command line: one file per command.

mod agent;
mod ask;
mod bless;
mod boot;
mod ca;
mod change;
mod clusters;
mod doctor;
mod exec;
mod exit;
mod images;
mod import;
mod inspect;
mod logs;
mod metrics;
mod node;
mod operate;
mod pods;
mod power;
mod progress;
mod releases;
mod remote;
mod reset;
mod screen;
mod settings;
mod shell;
mod status;
mod support_bundle;
mod table;
mod terminal;
mod upgrade;

use std::{path::PathBuf, process::ExitCode};

use clap::{CommandFactory, Parser, Subcommand};

use self::{node::Node, remote::NodeOptions};
use crate::{clients::host::Host, power::model::Action};

/// The node agent of Ballast, and its command line.
#[derive(Debug, Parser)]
#[command(name = "ballast", version, arg_required_else_help = true)]
struct OnNode {
    #[command(subcommand)]
    command: NodesCommand,

    #[command(flatten)]
    options: NodeOptions,

    /// Works on a tree of files in place of the host's (for tests)
    #[arg(long, global = true, hide = true, default_value = "/", value_name = "FOLDER")]
    root: PathBuf,
}

/// Operates nodes of Ballast from elsewhere.
#[derive(Debug, Parser)]
#[command(name = "ballast", version, arg_required_else_help = true)]
struct OnWorkstation {
    #[command(subcommand)]
    command: Command,

    #[command(flatten)]
    options: NodeOptions,
}

/// What a node has besides: its own daemon and the steps of its boot.
#[derive(Debug, Subcommand)]
enum NodesCommand {
    #[command(flatten)]
    Common(Command),
    Agent(agent::Arguments),
    #[command(hide = true)]
    Import(import::Arguments),
    #[command(hide = true)]
    Bless(bless::Arguments),
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
    Images(images::Arguments),
    Doctor(doctor::Arguments),
    Logs(logs::Arguments),
    Exec(exec::Arguments),
    Shell(shell::Arguments),
    SupportBundle(support_bundle::Arguments),
    Reset(reset::Arguments),
    Ps(inspect::Processes),
    Net(inspect::Network),
    Disk(inspect::Disks),
    Dmesg(logs::Dmesg),
    Events(logs::Events),
    /// Reboots the node, at once or later, when its pods have ended
    Reboot(power::Arguments),
    /// Switches the node off, at once or later, when its pods have ended
    Poweroff(power::Arguments),
    Ca(ca::Arguments),
}

/// The command line as data: for man pages and completions.
pub fn command() -> clap::Command {
    OnNode::command()
}

/// On a node: parses the command line, does what it says, and returns the exit status.
pub fn run() -> ExitCode {
    let OnNode { command, options, root } = OnNode::parse();
    let host = Host::new(root);
    end(match command {
        NodesCommand::Common(command) => common(command, options, Some(&host)),
        NodesCommand::Agent(agent::Arguments {}) => agent::run(host),
        NodesCommand::Import(import::Arguments {}) => import::run(&host),
        NodesCommand::Bless(bless::Arguments {}) => bless::run(&host),
    })
}

/// The same on a workstation, which is no node.
pub fn run_elsewhere() -> ExitCode {
    let OnWorkstation { command, options } = OnWorkstation::parse();
    end(common(command, options, None))
}

fn end(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("ballast: {error:#}");
        ExitCode::FAILURE
    })
}

fn common(command: Command, options: NodeOptions, here: Option<&Host>) -> anyhow::Result<ExitCode> {
    let node = |options, name| Node::chosen(options, here).and_then(|nodes| Node::only(nodes, name));
    match command {
        Command::Status(arguments) => status::run(&arguments, &Node::chosen(options, here)?),
        Command::Boot(arguments) => boot::run(&arguments, &node(options, "boot")?),
        Command::Releases(arguments) => releases::run(&arguments, &node(options, "releases")?),
        Command::Upgrade(arguments) => upgrade::run(arguments, &node(options, "upgrade")?),
        Command::Rollback(arguments) => change::rollback(&arguments, &node(options, "rollback")?),
        Command::Pin(arguments) => change::pin(arguments, &node(options, "pin")?),
        Command::Unpin(arguments) => change::unpin(arguments, &node(options, "unpin")?),
        Command::Allow(arguments) => change::allow(arguments, &node(options, "allow")?),
        Command::Fsck(arguments) => change::fsck(&arguments, &node(options, "fsck")?),
        Command::Collect(arguments) => change::collect(&arguments, &node(options, "collect")?),
        Command::Settings(arguments) if arguments.needs_no_node() => settings::schema(),
        Command::Settings(arguments) => settings::run(arguments, &node(options, "settings")?),
        Command::Clusters(arguments) => clusters::run(&arguments, &node(options, "clusters")?),
        Command::Pods(arguments) if arguments.needs_no_node() => pods::check(&arguments),
        Command::Pods(arguments) => pods::run(&arguments, &node(options, "pods")?),
        Command::Metrics(arguments) => metrics::run(&arguments, &node(options, "metrics")?),
        Command::Doctor(arguments) => doctor::run(&arguments, &node(options, "doctor")?),
        Command::Images(arguments) => images::run(arguments, &node(options, "images")?),
        Command::Reset(arguments) => reset::run(arguments, &node(options, "reset")?),
        Command::SupportBundle(arguments) => support_bundle::run(&arguments, &node(options, "support-bundle")?),
        Command::Ps(arguments) => inspect::processes(&arguments, &node(options, "ps")?),
        Command::Net(arguments) => inspect::network(&arguments, &node(options, "net")?),
        Command::Disk(arguments) => inspect::disks(&arguments, &node(options, "disk")?),
        Command::Exec(arguments) => exec::run(arguments, &node(options, "exec")?),
        Command::Shell(arguments) => shell::run(arguments, &node(options, "shell")?),
        Command::Logs(arguments) => logs::run(&arguments, &node(options, "logs")?),
        Command::Events(arguments) => logs::events(&arguments, &node(options, "events")?),
        Command::Dmesg(arguments) => logs::dmesg(&arguments, &node(options, "dmesg")?),
        Command::Reboot(arguments) => power::run(&arguments, Action::Reboot, &node(options, "reboot")?),
        Command::Poweroff(arguments) => power::run(&arguments, Action::Off, &node(options, "poweroff")?),
        Command::Ca(arguments) => ca::run(arguments),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        OnNode::command().debug_assert();
        OnWorkstation::command().debug_assert();
    }
}
