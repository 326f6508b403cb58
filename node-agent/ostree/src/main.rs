//! `ostree-worker`: all that speaks libostree, for the node agent and for the build of the disk.
//!
//! ```text
//!  agent ──argv──> options ──> inspect, fetch ──proxy──> image-proxy ──> registry, folder
//!        <─stdout─ output  <── deploy, remove, fsck ──> repository ──> libostree ──> /sysroot
//! ```
//!
//! A program of its own, so that the agent neither loads libostree nor waits on it. Each command may be run again after
//! a crash at any point. `image`, `origin`, `release` and `failure` are pure but for the types that they read from.

mod deploy;
mod failure;
mod fetch;
mod findings;
mod fsck;
mod image;
mod inspect;
mod isolation;
mod objects;
mod options;
mod origin;
mod output;
mod progress;
mod proxy;
mod release;
mod remove;
mod repair;
mod repository;
mod verity;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use serde::Serialize;
use serde_json::Value;

use self::options::{Command, Options};

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(result) => output::result(result),
        Err(error) => output::error(&error),
    }
}

fn run(options: &Options) -> Result<Value> {
    let root = &options.sysroot;
    // Before any thread is started: threads get the mounts of the one that starts them.
    isolation::tie_to_parent()?;
    isolation::isolate(root, options.command.writes()).context("setting this process apart")?;
    // One thread waits for the proxy; libostree's own work is done in threads that tokio keeps for what blocks.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("setting up the event loop")?;
    runtime.block_on(async {
        match &options.command {
            Command::Inspect { image, proxy } => written(inspect::inspect(root, image, proxy).await?),
            Command::Fetch { image, proxy } => written(fetch::fetch(root, image, proxy).await?),
            Command::Deploy { digest } => written(deploy::deploy(root, digest).await?),
            Command::Remove { keep } => written(remove::remove(root, keep).await?),
            Command::Fsck { repair, proxy } => written(fsck::fsck(root, repair.as_ref(), proxy).await?),
        }
    })
}

fn written(result: impl Serialize) -> Result<Value> {
    serde_json::to_value(result).context("writing down the result")
}
