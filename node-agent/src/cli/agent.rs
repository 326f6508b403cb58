//! `ballast agent`: the daemon.

use std::process::ExitCode;

use anyhow::{Context, Result};
use log::LevelFilter;
use systemd_journal_logger::{JournalLog, connected_to_journal};

use crate::{agent, clients::host::Host};

/// Runs the node agent; systemd does this, in ballast.service
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(host: Host) -> Result<ExitCode> {
    start_logging()?;
    // One thread is enough for a loop that mostly waits, and it costs no memory for others.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("setting up the event loop")?.block_on(agent::run(host))?;
    Ok(ExitCode::SUCCESS)
}

/// Logs go to the journal, with their fields, when systemd runs us; else to standard error, for whoever runs us by hand.
fn start_logging() -> Result<()> {
    if connected_to_journal() {
        JournalLog::new().context("connecting to the journal")?.install().context("setting up the log")?;
    } else {
        log::set_logger(&StandardError).context("setting up the log")?;
    }
    log::set_max_level(LevelFilter::Info);
    Ok(())
}

/// For programs that log to whoever started them.
struct StandardError;

impl log::Log for StandardError {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        eprintln!("{}: {}", record.level().as_str().to_lowercase(), record.args());
    }

    fn flush(&self) {}
}
