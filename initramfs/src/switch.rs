//! The end of /init: its own files go, the new tree becomes /, and systemd takes its place.

use std::convert::Infallible;
use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};
use rustix::mount::mount_move;
use rustix::process::{chdir, chroot};

use crate::drivers;
use crate::mounts::{self, NEW};

const SYSTEMD: &str = "/usr/lib/systemd/systemd";

/// Makes the new tree /. What lay in the initramfs is removed first: it would hold its memory for ever.
///
/// # Errors
/// What could not be moved, and why.
pub fn root() -> Result<()> {
    mounts::move_kernel_filesystems()?;
    fs::remove_dir_all(drivers::FOLDER).with_context(|| format!("removing {}", drivers::FOLDER))?;
    fs::remove_file("/init").context("removing /init")?;
    chdir(NEW).with_context(|| format!("entering {NEW}"))?;
    mount_move(".", "/").with_context(|| format!("moving {NEW} to /"))?;
    chroot(".").context("making it the root")?;
    chdir("/").context("entering it")
}

/// Becomes systemd, with the arguments and the environment that the kernel took from its command line.
///
/// # Errors
/// Only returns if systemd cannot be executed.
pub fn exec() -> Result<Infallible> {
    let error = Command::new(SYSTEMD).args(env::args_os().skip(1)).exec();
    Err(error).with_context(|| format!("executing {SYSTEMD}"))
}
