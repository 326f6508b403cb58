//! Looks at the deployments on the disk and at the boot entries.

use std::fs;

use anyhow::Result;

use super::model::{BootEntry, DeploymentId, Observed};
use crate::clients::{
    disk::Disk,
    esp,
    host::Host,
    identity,
    proc::{self, kernel_argument},
};

/// Where libostree checks out the releases of our one stateroot.
const DEPLOYMENTS: &str = "/sysroot/ostree/deploy/ballast/deploy";

/// The EFI system partition's name in the partition table.
const ESP_LABEL: &str = "ballast-esp";

/// The kernel argument that names the deployment to boot.
const DEPLOYMENT_ARGUMENT: &str = "ballast.deployment";

/// What is on the disk.
///
/// # Errors
/// If /proc, /sys or a boot entry cannot be read.
pub fn observe(host: &Host) -> Result<Observed> {
    let folder = host.path(esp::MOUNT_POINT).join("loader/entries");
    let unmounted_esp = if folder.exists() {
        None
    } else {
        Disk::below(host, "/sysroot")?.and_then(|disk| Some(disk.partition(ESP_LABEL)?.device.clone()))
    };
    let booted = kernel_argument(host, DEPLOYMENT_ARGUMENT)?;
    Ok(Observed {
        booted: booted.as_deref().and_then(DeploymentId::parse),
        booted_version: identity::os_release(host)?.version,
        on_disk: on_disk(host),
        entries: esp::entries(&folder)?.into_iter().filter_map(boot_entry).collect(),
        unmounted_esp,
    })
}

fn on_disk(host: &Host) -> Vec<DeploymentId> {
    // A host that is not ours has no such folder, and so no deployments.
    let Ok(entries) = fs::read_dir(host.path(DEPLOYMENTS)) else { return Vec::new() };
    let mut ids: Vec<DeploymentId> =
        entries.flatten().filter_map(|entry| DeploymentId::parse(&entry.file_name().to_string_lossy())).collect();
    ids.sort();
    ids
}

fn boot_entry(entry: esp::Entry) -> Option<BootEntry> {
    let deployment = DeploymentId::parse(&proc::argument(&entry.options, DEPLOYMENT_ARGUMENT)?)?;
    Some(BootEntry { file: entry.file, deployment, version: entry.version, tries_left: entry.tries_left })
}
