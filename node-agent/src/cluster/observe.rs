//! Reads from the machine what is reported to clusters; the agent adds what the domains know.

use std::time::SystemTime;

use anyhow::Error;

use super::model::{Boot, Capacity, Facts, Readings};
use crate::clients::{
    clock,
    host::Host,
    identity::{self, OsRelease},
    network, proc, resources, space,
};

/// Where pods keep what they write.
const STORAGE: &str = "/var";

/// As many pods as the kubelet takes if nobody says another number.
const PODS: u32 = 110;

/// This processor, as Go calls it.
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// The machine's half of the facts, and what could not be read of it; that stays as in [`Facts::default`].
pub fn machine(host: &Host, os: &OsRelease) -> (Facts, Vec<Error>) {
    let mut errors = Errors(Vec::new());
    let memory = errors.or_default(resources::memory(host));
    let processes = errors.or_default(resources::processes(host));
    let storage = errors.or_default(space::room(host, STORAGE));
    let facts = Facts {
        hostname: errors.or_default(proc::hostname(host)),
        machine_id: errors.or_default(identity::machine_id(host)),
        boot_id: errors.or_default(identity::boot_id(host)),
        system_uuid: identity::system_uuid(host),
        kernel_version: errors.or_default(identity::kernel_version(host)),
        os_id: os.id.clone(),
        os_name: os.name.clone(),
        os_version: os.version.clone(),
        architecture: ARCHITECTURE.to_owned(),
        addresses: errors.or_default(network::addresses(host)),
        clock_is_set: errors.or_default(clock::check(host, SystemTime::now())),
        capacity: Capacity {
            cpus: errors.or_default(resources::processors()),
            memory_bytes: memory.total_bytes,
            storage_bytes: storage.bytes,
            pids_max: processes.max,
            pods: PODS,
        },
        pressure: Readings {
            memory_available_bytes: memory.available_bytes,
            storage_available_bytes: storage.available_bytes,
            storage_inodes_total: storage.inodes,
            storage_inodes_available: storage.available_inodes,
            pids_used: processes.used,
        },
        boot: Boot { started_at: clock::booted_at(host).ok(), ..Boot::default() },
        ..Facts::default()
    };
    (facts, errors.0)
}

struct Errors(Vec<Error>);

impl Errors {
    fn or_default<T: Default>(&mut self, result: anyhow::Result<T>) -> T {
        result.unwrap_or_else(|error| {
            self.0.push(error);
            T::default()
        })
    }
}
