//! `ballast agent`: the daemon.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use log::{Level, LevelFilter};
use systemd_journal_logger::{JournalLog, connected_to_journal};

use crate::{agent, clients::host::Host};

/// A pass reads one thing after the other; a disk that does not answer holds a thread for each that was tried.
const FILE_THREADS: usize = 16;

/// Longer than between two things that a pass reads.
const FILE_THREADS_IDLE: Duration = Duration::from_secs(2);

/// Runs the node agent; systemd does this, in ballast.service
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(host: Host) -> Result<ExitCode> {
    start_logging()?;
    // One thread is enough for a loop that mostly waits. Others come and go with the files that are read and written.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(FILE_THREADS).thread_keep_alive(FILE_THREADS_IDLE).build();
    runtime.context("setting up the event loop")?.block_on(agent::run(host))?;
    Ok(ExitCode::SUCCESS)
}

/// Logs go to the journal, with their fields, when systemd runs the agent; else to standard error.
fn start_logging() -> Result<()> {
    let logger: Box<dyn log::Log> = if connected_to_journal() {
        Box::new(JournalLog::new().context("connecting to the journal")?)
    } else {
        Box::new(StandardError)
    };
    log::set_boxed_logger(Box::new(Ours(logger))).context("setting up the log")?;
    log::set_max_level(LevelFilter::Info);
    Ok(())
}

/// What this program logs, and warnings of libraries. Their other lines, each step of a D-Bus handshake for one,
/// are logged with `log.level = "debug"`.
struct Ours(Box<dyn log::Log>);

impl log::Log for Ours {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        let ours = metadata.target().starts_with("ballast");
        (ours || metadata.level() <= Level::Warn || log::max_level() >= LevelFilter::Debug) && self.0.enabled(metadata)
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            self.0.log(record);
        }
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// Logs to standard error.
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
