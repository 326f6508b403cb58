//! `ballast upgrade`

use std::process::ExitCode;

use anyhow::Result;

use super::{
    exit,
    node::Node,
    operate::{Output, ended, run as operate},
};
use crate::update::model::{Command, Upgrade};

/// Upgrades the node to another release: fetches it, checks it, prepares it to boot next
///
/// The release that runs is not touched: it boots again if the new one does not prove healthy. After an
/// interruption run the command again: it continues where it stopped. Ctrl-C cancels it.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit status: 0 done, or nothing to do; 1 it failed; 2 wrong usage; 4 the release is refused (signature, downgrade, architecture, \
failed here before); 5 another operation is running; 10 with --check: there is another release.")]
pub(super) struct Arguments {
    /// REGISTRY/NAME:TAG or REGISTRY/NAME@DIGEST; by default update.image of the settings, else where the running release came from
    image: Option<String>,

    /// Only checks whether there is another release
    #[arg(long, conflicts_with_all = ["fetch_only", "reboot"])]
    check: bool,

    /// Fetches it and stops; a later upgrade needs no network for it
    #[arg(long, conflicts_with = "reboot")]
    fetch_only: bool,

    /// Reboots into it at once
    #[arg(long)]
    reboot: bool,

    /// Also takes a release that is older than the one that runs
    #[arg(long)]
    allow_downgrade: bool,

    #[command(flatten)]
    output: Output,
}

pub(super) fn run(arguments: Arguments, node: &Node) -> Result<ExitCode> {
    let Arguments { image, check, fetch_only, reboot, allow_downgrade, output } = arguments;
    let command = Command::Upgrade(Upgrade { image, check, fetch_only, reboot, allow_downgrade, unattended: false });
    let end = operate(node, command, !output.is_json())?;
    let (code, changed) = ended(&end, &output)?;
    Ok(if check && changed { ExitCode::from(exit::AVAILABLE) } else { code })
}
