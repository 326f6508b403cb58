//! The small commands that change releases: `rollback`, `pin`, `unpin`, `allow`, `fsck`, `collect`.

use std::process::ExitCode;

use anyhow::Result;

use super::{
    node::Node,
    operate::{EXIT_STATUS, Output, operate},
};
use crate::update::model::{Command, Target};

/// Makes the release before this one the next to boot
///
/// A prepared upgrade is given up by it. Once more, before or after the reboot, is back where it was.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(super) struct Rollback {
    /// Boots it at once
    #[arg(long)]
    reboot: bool,

    #[command(flatten)]
    output: Output,
}

/// Names a release.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(super) struct Named {
    /// Its version, its digest, or the first six or more digits of that; see ballast releases
    release: String,

    #[command(flatten)]
    output: Output,
}

/// Checks every object of every release against its checksum
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(super) struct Fsck {
    /// Fetches what is damaged anew
    #[arg(long)]
    repair: bool,

    #[command(flatten)]
    output: Output,
}

/// Removes releases that are neither booted, next, last good nor pinned, and what is left of them
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_STATUS)]
pub(super) struct Collect {
    #[command(flatten)]
    output: Output,
}

pub(super) fn rollback(arguments: &Rollback, node: &Node) -> Result<ExitCode> {
    operate(node, Command::Rollback { reboot: arguments.reboot }, &arguments.output)
}

pub(super) fn pin(arguments: Named, node: &Node) -> Result<ExitCode> {
    operate(node, Command::Pin(Target { release: arguments.release }), &arguments.output)
}

pub(super) fn unpin(arguments: Named, node: &Node) -> Result<ExitCode> {
    operate(node, Command::Unpin(Target { release: arguments.release }), &arguments.output)
}

pub(super) fn allow(arguments: Named, node: &Node) -> Result<ExitCode> {
    operate(node, Command::Allow(Target { release: arguments.release }), &arguments.output)
}

pub(super) fn fsck(arguments: &Fsck, node: &Node) -> Result<ExitCode> {
    operate(node, Command::Fsck { repair: arguments.repair }, &arguments.output)
}

pub(super) fn collect(arguments: &Collect, node: &Node) -> Result<ExitCode> {
    operate(node, Command::Collect, &arguments.output)
}
