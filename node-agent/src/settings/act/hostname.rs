//! The machine's name where the settings say none: a DHCP server's. networkd would ask hostnamed for this, which the image does not have.

use std::fs;

use anyhow::{Context, Result};
use ballast_settings::values::{Hostname, Text};

use crate::clients::{host::Host, networkd, proc};

/// The machine's name, for the kernel (sethostname(2)).
const KERNEL_HOSTNAME: &str = "/proc/sys/kernel/hostname";

/// The image's name for a machine without one (`DEFAULT_HOSTNAME` in os-release(5)).
pub(super) const DEFAULT: &str = "ballast";

/// The name that a DHCP server gave, if one did that fits. Of one that is too long for the kernel the first word is taken.
///
/// # Errors
/// If a lease cannot be read.
pub(super) fn of_dhcp(host: &Host) -> Result<Option<String>> {
    let names = networkd::dhcp_hostnames(host).context("looking for the name that DHCP gives")?;
    let fitting = |name: &str| Hostname::parse(name.trim_end_matches('.')).ok().map(|name| name.to_string());
    let first_word = |name: &str| name.split('.').next().and_then(fitting);
    let is_name = |name: &String| name != "localhost" && !name.starts_with("localhost.");
    Ok(names.iter().find_map(|name| fitting(name).or_else(|| first_word(name)).filter(is_name)))
}

/// Names the machine.
///
/// # Errors
/// If the kernel does not take the name.
pub(super) fn set(host: &Host, name: &str) -> Result<()> {
    fs::write(host.path(KERNEL_HOSTNAME), name).with_context(|| format!("naming the machine {name}"))
}

/// Where the settings say no name, the machine has DHCP's: also that of a later lease. Without one it keeps the name that it has.
///
/// # Errors
/// If a lease cannot be read, or the kernel does not take the name.
pub(super) fn follow_dhcp(host: &Host) -> Result<()> {
    let Some(name) = of_dhcp(host)? else { return Ok(()) };
    if proc::hostname(host)? == name {
        return Ok(());
    }
    set(host, &name)?;
    log::info!("the machine is called {name}, as DHCP says; hostname in the settings would count more");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_dhcp_says_that_which_fits_is_taken() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        let long = format!("node.{}.{}", "a".repeat(40), "b".repeat(40));
        for (given, expected) in [
            ("node-7", Some("node-7")),
            ("Node-7.example.com.", Some("node-7.example.com")),
            (&long, Some("node")),
            ("localhost", None),
            ("localhost.localdomain", None),
            ("no_de", None),
            ("", None),
        ] {
            let path = host.path("/run/systemd/netif/leases/2");
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("ADDRESS=10.0.2.15\nHOSTNAME={given}\n")).unwrap();
            assert_eq!(of_dhcp(&host).unwrap().as_deref(), expected, "{given}");
        }
    }
}
