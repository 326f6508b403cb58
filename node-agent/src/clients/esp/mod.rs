//! The EFI system partition: mounted read-only but for the moments in which something is written, and the boot entries
//! on it. (uapi-group.org/specifications/specs/boot_loader_specification)

mod boot_entry;
mod check;
mod steps;
#[expect(clippy::disallowed_methods, reason = "what waits for the disk is here; it is called through Host::change")]
mod write;

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context, Result};
use rustix::{
    io::Errno,
    mount::{MountFlags, mount, mount_remount},
};
use tokio::sync::{Mutex, OwnedMutexGuard};

pub use self::{
    boot_entry::{Entry, entries},
    write::Writable,
};
use super::host::Host;

/// Where it is mounted.
pub const MOUNT_POINT: &str = "/efi";

/// Where the boot loader looks for entries.
pub const ENTRIES: &str = "loader/entries";

/// Where kernels and initramfs lie under the names of their content.
pub const KERNELS: &str = "ballast";

/// Whose turn it is to write: two writers at once would make the partition read-only under each other. One for the whole agent.
#[derive(Debug, Clone, Default)]
pub struct EspLock(Arc<Mutex<()>>);

/// Held by the task that may write to the ESP, until it is dropped.
#[derive(Debug)]
pub struct EspGuard {
    _guard: OwnedMutexGuard<()>,
}

impl EspLock {
    /// Waits until nobody writes.
    pub async fn take(&self) -> EspGuard {
        EspGuard { _guard: Arc::clone(&self.0).lock_owned().await }
    }
}

/// Files here are for root alone; programs do not run from here.
const FLAGS: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// The place of `path`, which is relative to the partition, on `host`.
pub fn path(host: &Host, path: &str) -> PathBuf {
    host.path(MOUNT_POINT).join(path)
}

/// Mounts the partition `device` on /efi, read-only. If the power failed while it was written to, its file system is mended before; what that
/// failed with is reported beside. What is mounted there already is made read-only: the agent may have been killed while it wrote.
///
/// # Errors
/// If the kernel refuses, or there is no folder /efi.
pub async fn mount_read_only(host: &Host, device: &str, _guard: EspGuard) -> Result<Option<anyhow::Error>> {
    let problem = check::mend(host, device).await.err();
    let device = device.to_owned();
    host.change("mounting /efi", move |host| mount_as_it_is(host, &device)).await.map(|()| problem)
}

fn mount_as_it_is(host: &Host, device: &str) -> Result<()> {
    let point = host.path(MOUNT_POINT);
    match mount(device, &point, "vfat", FLAGS | MountFlags::RDONLY, Some(c"umask=0077")) {
        Ok(()) => Ok(()),
        // This very partition is mounted there already.
        Err(Errno::BUSY) => match mount_remount(&point, FLAGS | MountFlags::RDONLY, "") {
            // Another program writes at this moment (`ballast bless`): it makes it read-only itself.
            Ok(()) | Err(Errno::BUSY) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("making {MOUNT_POINT} read-only")),
        },
        Err(error) => Err(error).with_context(|| format!("mounting {device} on {MOUNT_POINT}")),
    }
}
