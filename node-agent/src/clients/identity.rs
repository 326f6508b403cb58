//! Who this node is: os-release(5) and machine-id(5).

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
    OsRelease { id: value("ID"), version: value("VERSION_ID") }
}

/// The id of this machine, which it keeps over reboots and upgrades.
///
/// # Errors
/// If /etc/machine-id cannot be read.
pub fn machine_id(host: &Host) -> Result<String> {
    let text = fs::read_to_string(host.path("/etc/machine-id")).context("reading /etc/machine-id")?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn os_release_values_may_be_quoted() {
        let release = parse_os_release("NAME=\"Ballast\"\nID=ballast\nVERSION_ID=\"20261121.1\"\n");
        assert_eq!(release, OsRelease { id: "ballast".to_owned(), version: "20261121.1".to_owned() });
        assert_eq!(parse_os_release(""), OsRelease::default());
    }
}
