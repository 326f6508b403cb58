//! The small commands that change releases: `rollback`, `pin`, `unpin`, `allow`, `fsck`, `collect`.

use std::process::ExitCode;

use anyhow::Result;

use super::{
    exit,
    node::Node,
    operate::{Output, operate},
};
use crate::update::model::{Command, Target};

/// Makes the release before this one the next to boot
///
/// It also gives up a prepared upgrade. A second rollback, before or after the reboot, undoes the first.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::OF_RELEASES)]
pub(super) struct Rollback {
    /// Reboots into it at once
    #[arg(long)]
    reboot: bool,

    #[command(flatten)]
    output: Output,
}

/// Names a release.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::OF_RELEASES)]
pub(super) struct Named {
    /// Its version, its digest, or the first six or more digits of that; see ballast releases
    release: String,

    #[command(flatten)]
    output: Output,
}

/// Checks every object of every release against its checksum
#[derive(Debug, clap::Args)]
#[command(after_help = exit::OF_RELEASES)]
pub(super) struct Fsck {
    /// Fetches damaged objects again
    #[arg(long)]
    repair: bool,

    #[command(flatten)]
    output: Output,
}

/// Removes releases that are neither booted, next, last good nor pinned, and leftovers of removed ones
#[derive(Debug, clap::Args)]
#[command(after_help = exit::OF_RELEASES)]
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
