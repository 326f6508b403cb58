//! How much room there is on a file system, and how much is left.

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

/// How large a file system is, and what pods may still use of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    /// Bytes in all.
    pub bytes: u64,
    /// Bytes that anybody may still use: what is kept for root is not among them.
    pub available_bytes: u64,
    /// Inodes in all; 0 on file systems that have no fixed number.
    pub inodes: u64,
    /// Inodes that anybody may still use.
    pub available_inodes: u64,
}

/// How large the file system at `path` is, and what is left of it.
///
/// # Errors
/// If it cannot be asked.
pub fn room(host: &Host, path: &str) -> Result<Room> {
    let found = statvfs(host.path(path)).with_context(|| format!("looking how large {path} is"))?;
    Ok(Room {
        bytes: found.f_blocks.saturating_mul(found.f_frsize),
        available_bytes: found.f_bavail.saturating_mul(found.f_frsize),
        inodes: found.f_files,
        available_inodes: found.f_favail,
    })
}
