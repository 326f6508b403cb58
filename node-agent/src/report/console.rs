//! Lines on the machine's console.

use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt};

use anyhow::{Context, Result};
use rustix::fs::OFlags;

use crate::clients::host::Host;

/// Writes `line` to the console.
///
/// # Errors
/// If there is no console or it does not take the line.
pub fn print(host: &Host, line: &str) -> Result<()> {
    let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
    // A console that nobody reads must not stop the agent: what does not go out at once is dropped with an error.
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(flags.bits() as i32);
    let mut console = options.open(host.path("/dev/console")).context("opening /dev/console")?;
    console.write_all(format!("{line}\r\n").as_bytes()).context("writing to /dev/console")
}
