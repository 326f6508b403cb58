//! Who this node is: os-release(5), machine-id(5), and what the kernel and the firmware call this boot and this machine.

use std::fs;

use anyhow::{Context, Result};

use super::host::Host;

/// The operating system's own name and version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OsRelease {
    /// `ID`.
    pub id: String,
    /// `VERSION_ID`.
    pub version: String,
    /// `PRETTY_NAME`.
    pub name: String,
}

/// Reads /etc/os-release, or /usr/lib/os-release where that is missing.
///
/// # Errors
/// If neither can be read.
pub fn os_release(host: &Host) -> Result<OsRelease> {
    let text = fs::read_to_string(host.path("/etc/os-release"))
        .or_else(|_| fs::read_to_string(host.path("/usr/lib/os-release")))
        .context("reading /usr/lib/os-release")?;
    Ok(parse_os_release(&text))
}

fn parse_os_release(text: &str) -> OsRelease {
    let value = |key: &str| {
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
    };
    OsRelease { id: value("ID"), version: value("VERSION_ID"), name: value("PRETTY_NAME") }
}

/// The id of this machine, which it keeps over reboots and upgrades.
///
/// # Errors
/// If /etc/machine-id cannot be read.
pub fn machine_id(host: &Host) -> Result<String> {
    line(host, "/etc/machine-id")
}

/// The id of this boot: each has another (random(4)).
///
/// # Errors
/// If the kernel does not say it.
pub fn boot_id(host: &Host) -> Result<String> {
    line(host, "/proc/sys/kernel/random/boot_id")
}

/// The kernel's version, as `uname -r` says it.
///
/// # Errors
/// If the kernel does not say it.
pub fn kernel_version(host: &Host) -> Result<String> {
    line(host, "/proc/sys/kernel/osrelease")
}

/// The firmware's UUID of the machine; empty on a machine whose firmware reports none.
pub fn system_uuid(host: &Host) -> String {
    line(host, "/sys/class/dmi/id/product_uuid").unwrap_or_default().to_lowercase()
}

fn line(host: &Host, path: &str) -> Result<String> {
    let text = fs::read_to_string(host.path(path)).with_context(|| format!("reading {path}"))?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_values_may_be_quoted() {
        let release =
            parse_os_release("PRETTY_NAME=\"Ballast 1\"\nNAME=\"Ballast\"\nID=ballast\nVERSION_ID=\"20261121.1\"\n");
        let expected =
            OsRelease { id: "ballast".to_owned(), version: "20261121.1".to_owned(), name: "Ballast 1".to_owned() };
        assert_eq!(release, expected);
        assert_eq!(parse_os_release(""), OsRelease::default());
    }
}
