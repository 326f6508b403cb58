//! `ballast settings boot`: writes what the settings say, without the agent. For the units that do it in a boot.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::{clients::host::Host, settings::boot};

/// Writes what the settings say, before the units start that read it
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Looks for settings on volumes and on the ESP, if this is the first boot
    #[arg(long)]
    volumes: bool,
}

pub(super) fn run(arguments: &Arguments, host: &Host) -> Result<ExitCode> {
    let reported = match arguments.volumes {
        false => boot::early(host),
        true => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.context("setting up the event loop")?.block_on(boot::first(host))
        }
    };
    // Nothing of it is a reason for a failed unit: the agent says it in the status.
    reported.iter().for_each(|reported| eprintln!("{reported}"));
    Ok(ExitCode::SUCCESS)
}
