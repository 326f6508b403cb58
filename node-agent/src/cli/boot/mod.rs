//! `ballast boot`: where the time of this boot went. The agent kept the figures of READY, systemd knows its units.

mod table;
mod timeline;

use std::process::ExitCode;

use anyhow::{Context, Result};

use super::{
    ask::{print, status},
    exit,
    node::Node,
};
use crate::{
    cli::boot::timeline::Timeline,
    clients::{
        host::Host,
        systemd::{BUS_SOCKET, Moments, Started, Systemd},
    },
};

/// Shows where the time of this boot went: kernel, /init, systemd, each unit
///
/// One row for each part: when it started (seconds since the kernel did), how long it took until it was up or done, and the
/// CPU time that it used itself. Of what ran at READY that is the time up to READY; of what came later, the time until
/// now, or until it ended. Units that took less than a millisecond are counted in one line; --json has them all.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit status: 0 the table is printed; 3 the node has not been READY in this boot; 1 the agent or systemd \
                  could not be asked; 2 wrong usage."
)]
pub(super) struct Arguments {
    /// Prints JSON, for programs; times in microseconds
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments, node: &Node) -> Result<ExitCode> {
    let host = node.here("boot")?;
    let status = status(node, "boot")?;
    if status.boot.ready_ms.is_none() {
        eprintln!("ballast: the node has not been READY in this boot; see ballast status");
        return Ok(ExitCode::from(exit::NOT_READY));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let (moments, started) = runtime.context("setting up the event loop")?.block_on(ask_systemd(host))?;
    let timeline = Timeline::new(&status.os.version, &status.boot, moments, started);
    let text = match arguments.json {
        true => serde_json::to_string_pretty(&timeline).context("encoding the boot")? + "\n",
        false => table::render(&timeline),
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// systemd is asked from here and not through the agent: it keeps all this anyway, and the agent need not.
async fn ask_systemd(host: &Host) -> Result<(Moments, Vec<Started>)> {
    let systemd = Systemd::for_questions(&host.path(BUS_SOCKET)).await?;
    Ok((systemd.moments().await?, systemd.started().await?))
}
