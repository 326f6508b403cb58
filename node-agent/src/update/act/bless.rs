//! Takes the try counter off the boot entry that was booted: the release has proved itself. It is run by systemd-bless-boot.service, once
//! boot-complete.target is reached.

use anyhow::{Context, Result, bail, ensure};
use ballast_types::BootEntryName;
use tokio::task::spawn_blocking;

use crate::clients::{
    efi,
    esp::{self, EspLock, Writable},
    ext4,
    host::Host,
};

/// Where ROOT is mounted.
const ROOT: &str = "/sysroot";

/// Writes the entry that systemd-boot counted anew, without its counter, and then takes the counted one away. Says what was done.
///
/// # Errors
/// If the entry is not there, or cannot be written; it is counted then as before.
pub async fn bless(host: &Host) -> Result<String> {
    let Some(counted) = efi::counted_entry(host)? else { return Ok("this boot is not counted".to_owned()) };
    let counted = counted.trim_start_matches('/').to_owned();
    let good = without_counter(&counted)?;
    let is_there = |name: &str| esp::path(host, name).exists();
    // While the boot was counted a damaged ROOT was to end it; from now on no other release would boot. Before the entry is written: once it
    // is, nobody comes here again.
    ext4::on_damage_read_only(host, ROOT)?;
    match (is_there(&counted), is_there(&good)) {
        (false, true) => return Ok(format!("{good} is blessed already")),
        (false, false) => bail!("there is neither {counted} nor {good} on the EFI system partition"),
        (true, _) => {}
    }
    // The agent, which started this, does not write to the partition until it is done.
    let guard = EspLock::default().take().await;
    let (reported, host_there) = (format!("{good} is blessed"), host.clone());
    let written = spawn_blocking(move || Writable::open(&host_there, guard)?.replace(&counted, &good));
    written.await.context("writing to the ESP")?.context("writing the boot entry")?;
    Ok(reported)
}

/// The path `counted` of an entry without its counter.
fn without_counter(counted: &str) -> Result<String> {
    let (folder, file) = counted.split_at(counted.rfind('/').map_or(0, |slash| slash + 1));
    let name: BootEntryName = file.parse()?;
    ensure!(name.tries().is_some(), "{counted} has no counter in its name");
    Ok(format!("{folder}{}", name.without_counter()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_goes_and_nothing_else() {
        for (name, good) in [
            ("loader/entries/ballast-1-20261121.1-abc+2-1.conf", Some("loader/entries/ballast-1-20261121.1-abc.conf")),
            ("loader/entries/a+3.conf", Some("loader/entries/a.conf")),
            ("loader/entries/c++1.conf", Some("loader/entries/c+.conf")),
            ("loader/entries/a.conf", None),
            ("loader/entries/a+x.conf", None),
            ("loader/entries/a+2-1.efi", None),
        ] {
            assert_eq!(without_counter(name).ok().as_deref(), good, "{name}");
        }
    }
}
