//! `ballast import`: gives the runtime the images that the OS brings along. The agent does that by itself when a pod needs
//! one; this is for the build of the image, which fills the first VAR.

use std::{process::ExitCode, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::time::{Instant, sleep};

use crate::{
    clients::{
        cri::{Cri, SOCKET},
        host::Host,
    },
    pods::preloaded,
};

/// A runtime that was started just now answers within seconds; on a build host that has other work, emulated, in minutes.
const READY_WITHIN: Duration = Duration::from_secs(600);
const READY_AGAIN: Duration = Duration::from_millis(50);

/// Imports the preloaded pods' images into the container runtime, waiting for it if need be
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}

pub(super) fn run(host: &Host) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let count = runtime.context("setting up the event loop")?.block_on(async {
        let cri = ready(host).await?;
        preloaded::provide_all(host, &cri).await
    })?;
    println!("{count} preloaded images are in the container runtime");
    Ok(ExitCode::SUCCESS)
}

async fn ready(host: &Host) -> Result<Cri> {
    let start = Instant::now();
    loop {
        let why = match Cri::connect(&host.path(SOCKET)).await {
            Err(error) => format!("{error:#}"),
            Ok(cri) => match cri.status().await {
                Ok(status) if status.ready => return Ok(cri),
                Ok(status) => status.message,
                Err(error) => error.to_string(),
            },
        };
        if start.elapsed() > READY_WITHIN {
            bail!("the container runtime is not ready after {} s: {why}", READY_WITHIN.as_secs());
        }
        sleep(READY_AGAIN).await;
    }
}
