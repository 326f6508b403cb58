//! `ballast bless`: the last step of a trial. systemd-bless-boot.service runs it; the agent starts that.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::{clients::host::Host, update::act::bless};

/// Takes the try counter off the boot entry that was booted
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(host: &Host) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let reported = runtime.context("setting up the event loop")?.block_on(bless::bless(host))?;
    println!("{reported}");
    Ok(ExitCode::SUCCESS)
}
