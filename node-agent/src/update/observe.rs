//! Looks at the deployments on the disk, at the boot entries, and at what is remembered.

use std::{collections::BTreeMap, fs, io::ErrorKind, time::Duration};

use anyhow::Result;

use super::{
    memory,
    model::{BootEntry, DeploymentId, Observed, Origin, Revoked},
    plan::boot_entry::arguments,
};
use crate::clients::{
    disk::Disk,
    esp,
    host::Host,
    identity, network,
    proc::{self, kernel_argument},
};

/// Where libostree checks out the releases of our one stateroot.
const DEPLOYMENTS: &str = "/sysroot/ostree/deploy/ballast/deploy";

/// What the image says is not to be trusted any more.
const REVOKED: &str = "/usr/lib/ballast/revoked";

/// The EFI system partition's name in the partition table.
const ESP_LABEL: &str = "ballast-esp";

/// The kernel argument that names the deployment to boot.
const DEPLOYMENT_ARGUMENT: &str = "ballast.deployment";

/// What was cut short by a loss of power goes on early in a boot, beside the network that comes up. A node without a default route may
/// reach its registry all the same: it is not waited for longer than this.
const NETWORK_WITHIN: Duration = Duration::from_secs(120);

/// What is done here, for messages.
pub const DOING: &str = "looking at the releases";

/// What is on the disk.
///
/// # Errors
/// If /proc, /sys or a boot entry cannot be read.
pub fn observe(host: &Host) -> Result<Observed> {
    let folder = esp::path(host, esp::ENTRIES);
    let unmounted_esp = if folder.exists() {
        None
    } else {
        Disk::below(host, "/sysroot")?.and_then(|disk| Some(disk.partition(ESP_LABEL)?.device.clone()))
    };
    let booted = kernel_argument(host, DEPLOYMENT_ARGUMENT)?;
    let memory::Loaded { memory, damage } = memory::load(host);
    let (revoked, revoked_problems) = revoked(host);
    Ok(Observed {
        booted: booted.as_deref().and_then(|booted| booted.parse().ok()),
        booted_version: identity::os_release(host)?.version,
        on_disk: on_disk(host),
        booted_arguments: arguments(&proc::command_line(host)?).to_owned(),
        entries: esp::entries(&folder)?.into_iter().filter_map(boot_entry).collect(),
        // Nobody else asks.
        lacks_network: memory.wanted.is_some() && lacks_network(host)?,
        revoked: revoked.and(&memory.revoked),
        revoked_problems,
        memory,
        memory_damage: damage,
        unmounted_esp,
    })
}

/// What the release that runs revokes; one that says nothing of it revokes nothing.
fn revoked(host: &Host) -> (Revoked, Vec<String>) {
    match fs::read(host.path(REVOKED)) {
        Ok(bytes) => Revoked::parse(REVOKED, &String::from_utf8_lossy(&bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Default::default(),
        Err(error) => (Revoked::default(), vec![format!("{REVOKED} cannot be read: {error}")]),
    }
}

fn lacks_network(host: &Host) -> Result<bool> {
    let is_young = Duration::from_micros(proc::cpu_time(host)?.uptime_us) < NETWORK_WITHIN;
    Ok(is_young && network::source_address().is_err())
}

/// The files in the ESP's folder of kernels; none if there is no such folder.
pub fn kernels(host: &Host) -> Vec<String> {
    let files = fs::read_dir(esp::path(host, esp::KERNELS)).into_iter().flatten().flatten();
    files.map(|file| file.file_name().to_string_lossy().into_owned()).collect()
}

fn on_disk(host: &Host) -> BTreeMap<DeploymentId, Option<Origin>> {
    let folder = host.path(DEPLOYMENTS);
    // A host that is not ours has no such folder, and so no deployments.
    let Ok(entries) = fs::read_dir(&folder) else { return BTreeMap::new() };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_string_lossy().parse().ok());
    let origin = |id: &DeploymentId| Origin::parse(&fs::read_to_string(folder.join(format!("{id}.origin"))).ok()?);
    ids.map(|id: DeploymentId| (id.clone(), origin(&id))).collect()
}

fn boot_entry(entry: esp::Entry) -> Option<BootEntry> {
    let deployment = proc::argument(&entry.options, DEPLOYMENT_ARGUMENT)?.parse::<DeploymentId>().ok()?;
    let esp::Entry { name, version, linux, initrd, options } = entry;
    Some(BootEntry { name, deployment, version, linux, initrd, options })
}
