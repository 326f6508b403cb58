//! systemd-networkd: what became of each interface, and what DHCP reported, as its files in /run say. Its own interface for this is
//! libsystemd's sd-network, which reads the same files; asking over D-Bus would start the bus.

use std::{collections::BTreeMap, fs, io::ErrorKind, path::PathBuf};

use anyhow::{Context, Result};

use super::host::Host;

/// A file for each interface, by its index.
const LINKS: &str = "/run/systemd/netif/links";

/// A file for each lease of DHCPv4, by the interface's index. networkd makes the folder.
const LEASES: &str = "/run/systemd/netif/leases";

/// The kernel's interfaces.
const INTERFACES: &str = "/sys/class/net";

/// An interface that the kernel has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its hardware address, if it has one.
    pub mac: String,
    /// Whether it is a device, and not made by somebody as a bridge is.
    pub is_device: bool,
    /// How far networkd came with it: `configured`, `configuring`, `failed`, `unmanaged`, …; empty if networkd does not know it yet.
    pub setup: String,
    /// What it is good for: `no-carrier`, `degraded`, `routable`, … (networkctl(1))
    pub operational: String,
    /// The file that networkd configures it by.
    pub file: Option<String>,
}

/// All interfaces; none before networkd has looked at them.
///
/// # Errors
/// If the files are there and cannot be read.
pub fn links(host: &Host) -> Result<Vec<Link>> {
    if !host.path(LINKS).is_dir() {
        return Ok(Vec::new());
    }
    let folder = host.path(INTERFACES);
    let mut all = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {INTERFACES}"))? {
        let path = entry.with_context(|| format!("reading {INTERFACES}"))?.path();
        let read = |file: &str| fs::read_to_string(path.join(file)).unwrap_or_default().trim().to_owned();
        // It may be gone by now.
        let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else { continue };
        let state = variables(host, &format!("{LINKS}/{}", read("ifindex")))?;
        let of = |key: &str| state.get(key).cloned();
        all.push(Link {
            mac: read("address"),
            is_device: path.join("device").exists(),
            setup: of("ADMIN_STATE").unwrap_or_default(),
            operational: of("OPER_STATE").unwrap_or_default(),
            file: of("NETWORK_FILE"),
            name,
        });
    }
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

/// The folder of leases, once it is there: a change in it is a new lease.
pub fn leases(host: &Host) -> Option<PathBuf> {
    Some(host.path(LEASES)).filter(|folder| folder.is_dir())
}

/// The machine's name as DHCP servers say it (option 12), that of the first interface first.
///
/// # Errors
/// If a lease is there and cannot be read.
pub fn dhcp_hostnames(host: &Host) -> Result<Vec<String>> {
    let Some(folder) = leases(host) else { return Ok(Vec::new()) };
    let entries = fs::read_dir(folder).with_context(|| format!("reading {LEASES}"))?;
    // networkd writes a lease under another name first.
    let index = |name: &std::ffi::OsStr| name.to_str().and_then(|name| name.parse::<u32>().ok());
    let mut indices: Vec<u32> = entries.filter_map(|entry| index(&entry.ok()?.file_name())).collect();
    indices.sort_unstable();
    let mut names = Vec::new();
    for index in indices {
        names.extend(variables(host, &format!("{LEASES}/{index}"))?.remove("HOSTNAME"));
    }
    Ok(names)
}

/// `KEY=VALUE` in each line; nothing if there is no such file.
fn variables(host: &Host, path: &str) -> Result<BTreeMap<String, String>> {
    let text = match fs::read_to_string(host.path(path)) {
        // An index that could not be read leads to the folder.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::IsADirectory) => {
            return Ok(BTreeMap::new());
        }
        text => text.with_context(|| format!("reading {path}"))?,
    };
    let lines = text.lines().filter_map(|line| line.split_once('='));
    Ok(lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(host: &Host, path: &str, text: &str) {
        fs::create_dir_all(host.path(path).parent().unwrap()).unwrap();
        fs::write(host.path(path), text).unwrap();
    }

    #[test]
    fn what_networkd_writes_is_read() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        assert_eq!((links(&host).unwrap(), dhcp_hostnames(&host).unwrap()), (vec![], vec![]));
        let file = "/etc/systemd/network/10-ballast-000.network";
        for (name, index) in [("lo", 1), ("eth0", 2)] {
            write(&host, &format!("{INTERFACES}/{name}/ifindex"), &format!("{index}\n"));
        }
        write(&host, &format!("{INTERFACES}/eth0/address"), "52:54:00:12:34:56\n");
        write(&host, &format!("{INTERFACES}/eth0/device/vendor"), "0x1af4\n");
        // As systemd 257 writes them.
        write(
            &host,
            &format!("{LINKS}/1"),
            "# This is private data. Do not parse.\nADMIN_STATE=unmanaged\nOPER_STATE=carrier\n",
        );
        write(
            &host,
            &format!("{LINKS}/2"),
            &format!(
                "# This is private data. Do not parse.\nADMIN_STATE=configuring\nOPER_STATE=degraded\nNETWORK_FILE={file}\n"
            ),
        );
        let all = links(&host).unwrap();
        let eth0 = Link {
            name: "eth0".to_owned(),
            mac: "52:54:00:12:34:56".to_owned(),
            is_device: true,
            setup: "configuring".to_owned(),
            operational: "degraded".to_owned(),
            file: Some(file.to_owned()),
        };
        assert_eq!((&all[0], all[1].setup.as_str(), &all[1].file), (&eth0, "unmanaged", &None));
    }

    #[test]
    fn the_first_interface_s_lease_counts_first() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        for (index, name) in [
            ("10", "HOSTNAME=ten\n"),
            ("2", "ADDRESS=10.0.2.15\nHOSTNAME=two.example\n"),
            ("3", ""),
            (".#3", "HOSTNAME=x\n"),
        ] {
            write(&host, &format!("{LEASES}/{index}"), name);
        }
        assert_eq!(dhcp_hostnames(&host).unwrap(), ["two.example", "ten"]);
    }
}
