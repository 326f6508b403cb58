//! What the machine's firmware says of it, as the kernel shows it (kernel: sysfs-class-dmi, /sys/class/dmi/id).

use std::fs;

use super::host::Host;

const FOLDER: &str = "/sys/class/dmi/id";

/// The identity; what cannot be read is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// `sys_vendor`
    pub vendor: String,
    /// `product_name`
    pub product: String,
    /// `bios_version`
    pub bios_version: String,
    /// `chassis_asset_tag`
    pub asset_tag: String,
}

/// Reads it.
pub fn identity(host: &Host) -> Identity {
    // Not every machine has such firmware, and not every firmware says all of it.
    let read = |name: &str| fs::read_to_string(host.path(format!("{FOLDER}/{name}"))).unwrap_or_default();
    Identity {
        vendor: read("sys_vendor"),
        product: read("product_name"),
        bios_version: read("bios_version"),
        asset_tag: read("chassis_asset_tag"),
    }
}
