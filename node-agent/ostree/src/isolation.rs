//! This process is alone: it ends with its parent, and what it makes writable is writable for nobody else.

use std::path::Path;

use anyhow::{Context, Result};
use rustix::{
    mount::{MountFlags, MountPropagationFlags, mount_change, mount_remount},
    process::{Signal, set_parent_process_death_signal},
    thread::UnshareFlags,
};

/// Where ROOT is mounted on a node, and its folder /boot.
const MOUNTS: [&str; 2] = ["/sysroot", "/boot"];

/// As /init mounts ROOT.
const FLAGS: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);

pub(crate) fn tie_to_parent() -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).context("asking to end with the parent")
}

/// A mount namespace of our own, in which /sysroot and /boot can be written to. On a node only: a folder that lies
/// elsewhere is as writable as it is.
pub(crate) fn isolate(sysroot: &Path) -> Result<()> {
    if sysroot != Path::new("/") {
        return Ok(());
    }
    #[expect(unsafe_code, reason = "rustix marks it so for what other flags can do")]
    // SAFETY: a new mount namespace shares no memory and no descriptors that anyone could rely on; there is one thread.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }.context("leaving the mounts of the host")?;
    let private = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    mount_change("/", private).context("keeping our mounts to ourselves")?;
    // The file system itself first, then where else it is seen: each mount has a read-only flag of its own.
    mount_remount(MOUNTS[0], FLAGS, "").with_context(|| format!("remounting {} writable", MOUNTS[0]))?;
    mount_remount(MOUNTS[1], FLAGS | MountFlags::BIND, "").with_context(|| format!("remounting {} writable", MOUNTS[1]))
}
