//! The image proxy: fetches images for ostree-ext, in place of skopeo. A process of its own, `/usr/lib/ballast/image-proxy`; this
//! is all of it as a library, so that who writes its configuration can read it back as it does ([`config`]).
//!
//! ```text
//!  ostree-ext ──socket──> protocol ──> session ──> image ──> source ──> registries, folders
//!             <──pipes───                            │
//!                                                 policy          config: policy, mirrors, credentials
//! ```
//!
//! The client speaks skopeo's `experimental-image-proxy` protocol ([`protocol`], [`session`]). What an image consists of
//! ([`content`]), what the administrator allows ([`policy`]) and says ([`config`]) is decided without I/O; only
//! [`source`] fetches.

mod arguments;
pub mod config;
mod content;
mod failure;
mod handover;
mod image;
mod options;
mod policy;
mod protocol;
mod serve;
mod session;
mod source;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::Parser;

use self::arguments::Arguments;

/// The program: does what the command line says.
pub fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("image-proxy: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    if arguments.is_handed_over() {
        return Err(handover::become_proxy());
    }
    log::set_logger(&StandardError).context("setting up the log")?;
    log::set_max_level(arguments.level());
    if let Some((service, call)) = arguments.call()? {
        return call.run(&service);
    }
    let options = arguments.options()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("setting up the event loop")?.block_on(serve::serve(options))
}

/// The place of the host's absolute `path` under `root`.
fn in_root(root: &Path, path: impl AsRef<Path>) -> PathBuf {
    let path = path.as_ref();
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// Logs go to whoever started us.
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
