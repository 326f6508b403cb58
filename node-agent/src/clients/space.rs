//! How much room is left on a file system.

use anyhow::{Context, Result};
use rustix::fs::statvfs;

use super::host::Host;

/// What is free for root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Free {
    /// Bytes.
    pub bytes: u64,
    /// Inodes; as many as one likes on file systems that have no fixed number (statvfs(3) says 0 of 0 then).
    pub inodes: u64,
}

/// What is free on the file system at `path`.
///
/// # Errors
/// If it cannot be asked.
pub fn free(host: &Host, path: &str) -> Result<Free> {
    let found = statvfs(host.path(path)).with_context(|| format!("looking how full {path} is"))?;
    let inodes = if found.f_files == 0 { u64::MAX } else { found.f_ffree };
    Ok(Free { bytes: found.f_bfree.saturating_mul(found.f_frsize), inodes })
}
