//! Leaves in /run what libostree and systemd need to know of a root that is an overlay.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::{major, minor};

use crate::booted::{Booted, render};
use crate::mounts::{TRANSIENT_ETC, folder};

/// Writes /run/ostree-booted for the deployment at `deployment`, and the link by which systemd's disk tools find the
/// disk behind an overlay (`blockdev_get_root`).
///
/// # Errors
/// Which file could not be written, and why.
pub fn report(deployment: &Path, verity: bool) -> Result<()> {
    let metadata = fs::metadata(deployment).with_context(|| format!("looking at {}", deployment.display()))?;
    let (device, inode) = (metadata.dev(), metadata.ino());
    // libostree keeps the mounts of its own running steps here, out of everybody's sight.
    folder(Path::new("/run/ostree/.private"), 0)?;
    let booted = Booted { device, inode, verity, transient_etc: TRANSIENT_ETC.into() };
    fs::write("/run/ostree-booted", render(&booted)).context("writing /run/ostree-booted")?;

    folder(Path::new("/run/systemd"), 0o755)?;
    let target = format!("/dev/block/{}:{}", major(device), minor(device));
    symlink(target, "/run/systemd/volatile-root").context("linking /run/systemd/volatile-root")
}
