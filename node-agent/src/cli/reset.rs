//! `ballast reset`: the node as it was before its first boot.

use std::process::ExitCode;

use anyhow::{Result, bail};

use super::{
    ask::{confirm, end},
    node::Node,
    operate::{Output, ended},
};
use crate::report::{
    reset::{Keep, Reset},
    socket::Request,
};

/// Empties /var at the next boot: the node comes up like new
///
/// Releases stay. Keys and settings are overwritten before they go, and the drive is told that all of it is free. A reset that the power cuts off
/// is begun again.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 it is ordered; 1 it is not; 2 wrong usage; 4 it is refused: no reset is ordered, or /var is in memory."
)]
pub(super) struct Arguments {
    /// What stays: settings, identity, images, pods
    #[arg(long, value_name = "WHAT", value_delimiter = ',', value_parser = keep)]
    keep: Vec<Keep>,

    /// Does not ask
    #[arg(long)]
    yes: bool,

    /// Takes an order back
    #[arg(long, conflicts_with_all = ["keep", "yes"])]
    cancel: bool,

    #[command(flatten)]
    output: Output,
}

fn keep(text: &str) -> Result<Keep, String> {
    let known = Keep::ALL.into_iter().find(|keep| keep.name() == text);
    known.ok_or_else(|| format!("expected one of {}", Keep::ALL.map(Keep::name).join(", ")))
}

pub(super) fn run(arguments: Arguments, node: &Node) -> Result<ExitCode> {
    let Arguments { keep, yes, cancel, output } = arguments;
    if !cancel && !yes && !confirmed(&keep)? {
        bail!("nothing is ordered; to order it without being asked: --yes");
    }
    let order = if cancel { Reset::Cancel {} } else { Reset::Order { keep } };
    let reply = node.open("reset", &Request::Reset { operation: order })?.next()?;
    ended(&end(reply)?, &output).map(|(code, _)| code)
}

fn confirmed(keep: &[Keep]) -> Result<bool> {
    let kept: Vec<&str> = keep.iter().map(|keep| keep.name()).collect();
    let kept = if kept.is_empty() { "nothing".to_owned() } else { kept.join(", ") };
    confirm(&format!("At its next boot the node loses all that is in /var. It keeps {kept}. Is that so?"))
}
