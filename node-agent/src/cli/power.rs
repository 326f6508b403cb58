//! `ballast reboot` and `ballast poweroff`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use ballast_settings::values;

use super::{
    ask::{end, unexpected},
    node::Node,
    operate::{Output, ended},
};
use crate::{
    power::model::{Action, LATEST, Order},
    report::socket::{Reply, Request},
};

/// How to go down.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 the node goes down, or will; 1 it does not; 2 wrong usage; 4 it is refused; 5 an operation is running, and --force was not given, or it goes down already."
)]
pub(super) struct Arguments {
    /// Also while an upgrade or another operation is running
    #[arg(long)]
    force: bool,

    /// First has its clusters' pods go elsewhere, as their budgets allow; new ones do not come
    #[arg(long)]
    drain: bool,

    /// How long they may take (30s, 5m, 1h); then the node stays up
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "drain")]
    drain_timeout: Option<u64>,

    /// Not now but after this time (30s, 10m, 1h30m)
    #[arg(long = "in", value_name = "DURATION", value_parser = duration)]
    later: Option<u64>,

    /// Takes back what is scheduled, or drains still
    #[arg(long, conflicts_with_all = ["force", "drain", "later"])]
    cancel: bool,

    #[command(flatten)]
    output: Output,
}

/// `30s`, `10m`, `1h30m` in seconds.
fn duration(text: &str) -> Result<u64, String> {
    let secs = values::duration(text).ok().map(|time| time.as_secs());
    secs.filter(|secs| (1..=LATEST.as_secs()).contains(secs))
        .ok_or_else(|| format!("expected 1s to 168h, as 30s, 10m, 1h30m ({})", values::DURATION_UNITS))
}

pub(super) fn run(arguments: &Arguments, action: Action, node: &Node) -> Result<ExitCode> {
    let Arguments { force, drain, drain_timeout, later, cancel, output } = arguments;
    let command = if action == Action::Off { "poweroff" } else { "reboot" };
    let order = Order {
        action: if *cancel { Action::Cancel } else { action },
        force: *force,
        drain: *drain,
        drain_timeout_secs: *drain_timeout,
        in_secs: *later,
    };
    let mut talk = node.open(command, &Request::Power(order))?;
    loop {
        match talk.next()? {
            Reply::Line(line) if !output.is_json() => eprintln!("{line}"),
            Reply::Line(_) | Reply::Working {} => {}
            reply @ (Reply::Done(_) | Reply::Failed(_)) => return ended(&end(reply)?, output).map(|(code, _)| code),
            other @ (Reply::Status(_)
            | Reply::Releases(_)
            | Reply::Progress(_)
            | Reply::Settings(_)
            | Reply::Planned(_)
            | Reply::Changed(_)
            | Reply::Unchanged(_)
            | Reply::Text(_)
            | Reply::Images(_)
            | Reply::Stdout(_)
            | Reply::Stderr(_)
            | Reply::Exited(_)
            | Reply::Inspected(_)
            | Reply::Findings(_)
            | Reply::End {}
            | Reply::Error(_)) => bail!(unexpected(&other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_within_reason() {
        for (text, secs) in [("1s", 1), ("10m", 600), ("1h30m", 5400), ("168h", 604_800)] {
            assert_eq!(duration(text), Ok(secs));
        }
        for wrong in ["", "0s", "5", "169h", "-5m", "soon"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
