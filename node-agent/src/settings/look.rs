//! Looks where a machine may have been given settings for its first boot.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use ballast_settings::{Kind, MAX_BYTES};
use tokio::{task::spawn_blocking, time::timeout};

use super::{
    act::keep::Given,
    model::{Giver, Look},
    observe::{self, CREDENTIAL},
};
use crate::clients::{
    disk::Disk,
    esp,
    host::Host,
    volume::{self, Volume},
};

/// On the EFI system partition, where an operator can lay it into an image from any system.
const ESP_FILE: &str = "ballast.toml";

/// The EFI system partition's name in the partition table.
const ESP_LABEL: &str = "ballast-esp";

/// One byte more than a source may have shows that it is too large.
const MAX_READ: u64 = MAX_BYTES as u64 + 1;

/// What is on a volume with this label. (cloudinit.readthedocs.io: NoCloud, ConfigDrive)
const VOLUMES: [(&str, [(&str, Kind); 2]); 2] = [
    ("cidata", [("user-data", Kind::Settings), ("meta-data", Kind::MetaData)]),
    ("config-2", [("openstack/latest/user_data", Kind::Settings), ("openstack/latest/meta_data.json", Kind::MetaData)]),
];

/// Mounting and reading a small volume takes moments; a device that does not answer is left alone.
const VOLUME_DEADLINE: Duration = Duration::from_secs(30);

/// What came of a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What was given; nothing if it is empty.
    pub given: Given,
    /// What, or why nothing, in one sentence.
    pub what: String,
    /// Whether there was more, which could not be read.
    pub failed: bool,
}

impl Found {
    /// All that is there.
    pub fn all(given: Given, what: impl Into<String>) -> Self {
        Self { given, what: what.into(), failed: false }
    }

    /// Nothing, and why.
    pub fn nothing(why: impl Into<String>) -> Self {
        Self::all(Vec::new(), why)
    }

    /// As it is written down, now.
    pub fn look(&self) -> Look {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Look { at: now.as_secs(), found: !self.given.is_empty(), what: self.what.clone(), failed: self.failed }
    }
}

/// What `giver` gives to a machine that is there in person: all but the cloud, which the network is needed for.
pub async fn look(host: &Host, giver: Giver) -> Found {
    let found = match giver {
        Giver::Credential => credential(host),
        Giver::Volume => volumes(host).await,
        Giver::Esp => on_esp(host).await,
        Giver::Metadata => return Found::nothing("the cloud is asked by the agent"),
    };
    found.unwrap_or_else(|error| Found { failed: true, ..Found::nothing(format!("{error:#}")) })
}

/// The systemd credential.
///
/// # Errors
/// If it is there and cannot be read.
pub fn credential(host: &Host) -> Result<Found> {
    let bytes = observe::read(host, CREDENTIAL).context("the credential ballast.settings")?;
    Ok(match bytes {
        Some(bytes) => Found::all(vec![(Kind::Settings, bytes)], "credential ballast.settings"),
        None => Found::nothing("there is no credential ballast.settings"),
    })
}

async fn volumes(host: &Host) -> Result<Found> {
    let all = volume::list(host).await.context("looking for volumes")?;
    Ok(first_with_files(host, &all).await)
}

/// What the first of `all` has that has some of the files; the labels count in their order.
async fn first_with_files(host: &Host, all: &[Volume]) -> Found {
    let (mut without, mut failed) = (Vec::new(), false);
    for (label, files) in VOLUMES {
        for volume in all.iter().filter(|volume| volume.label.eq_ignore_ascii_case(label)) {
            let name = format!("{} ({}, {})", volume.label, volume.device, volume.file_system);
            match on_volume(host, volume, &files).await {
                Ok(given) if given.is_empty() => without.push(format!("{name} has none of the files")),
                Ok(given) => {
                    let told: Vec<String> = without.into_iter().chain([name]).collect();
                    return Found { given, what: told.join("; "), failed };
                }
                Err(error) => {
                    failed = true;
                    without.push(format!("{name}: {error:#}"));
                }
            }
        }
    }
    let what = match without.as_slice() {
        [] => "there is no volume with the label CIDATA or config-2".to_owned(),
        without => without.join("; "),
    };
    Found { failed, ..Found::nothing(what) }
}

async fn on_volume(host: &Host, volume: &Volume, files: &[(&'static str, Kind)]) -> Result<Given> {
    let (host, volume, files) = (host.clone(), volume.clone(), files.to_vec());
    let work = spawn_blocking(move || {
        let names: Vec<&str> = files.iter().map(|(name, _)| *name).collect();
        let found = volume::read(&host, &volume, &names, MAX_READ)?;
        let kinds = files.iter().map(|(_, kind)| *kind);
        anyhow::Ok(kinds.zip(found).filter_map(|(kind, bytes)| Some((kind, bytes?))).collect())
    });
    let done = timeout(VOLUME_DEADLINE, work).await;
    done.with_context(|| format!("it was not read within {} s", VOLUME_DEADLINE.as_secs()))?
        .context("its task ended")?
}

async fn on_esp(host: &Host) -> Result<Found> {
    let found = |bytes: Option<Vec<u8>>| match bytes {
        Some(bytes) => Found::all(vec![(Kind::Settings, bytes)], format!("{ESP_FILE} on the ESP")),
        None => Found::nothing(format!("there is no {ESP_FILE} on the ESP")),
    };
    // The agent mounts it when it is READY, which may be about now.
    let mounted = |host: &Host| {
        let is_mounted = esp::path(host, "loader").exists();
        is_mounted.then(|| volume::read_in(&host.path(esp::MOUNT_POINT), ESP_FILE, MAX_READ)).transpose()
    };
    if let Some(read) = host.read("reading /efi", mounted).await? {
        return Ok(found(read));
    }
    let disk = host.read("looking for the ESP", |host| Disk::below(host, "/sysroot")).await?;
    let Some(partition) = disk.as_ref().and_then(|disk| disk.partition(ESP_LABEL)) else {
        return Ok(Found::nothing("this node has no ESP"));
    };
    let volume =
        Volume { device: partition.device.clone(), label: ESP_LABEL.to_owned(), file_system: "vfat".to_owned() };
    let given = on_volume(host, &volume, &[(ESP_FILE, Kind::Settings)]).await.context("reading the ESP")?;
    Ok(found(given.into_iter().next().map(|(_, bytes)| bytes)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test]
    async fn what_is_not_there_is_told_and_nothing_is_given() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        for (giver, why) in [
            (Giver::Credential, "there is no credential ballast.settings"),
            (Giver::Volume, "there is no volume with the label CIDATA or config-2"),
            (Giver::Esp, "this node has no ESP"),
        ] {
            assert_eq!(look(&host, giver).await, Found::nothing(why));
        }
    }

    #[tokio::test]
    async fn what_is_there_and_cannot_be_read_is_not_nothing() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        fs::create_dir_all(host.path(CREDENTIAL)).unwrap();
        let found = look(&host, Giver::Credential).await;
        assert!(found.failed && found.look().failed && found.given.is_empty(), "{found:?}");
        let volume = |label: &str| Volume {
            device: "/dev/vdb".to_owned(),
            label: label.to_owned(),
            file_system: "ext4".to_owned(),
        };
        let found = first_with_files(&host, &[volume("CIDATA"), volume("other")]).await;
        assert!(found.failed && found.what.starts_with("CIDATA (/dev/vdb, ext4): it has a file system"), "{found:?}");
        assert!(!first_with_files(&host, &[volume("other")]).await.failed);
    }

    #[tokio::test]
    async fn the_credential_and_the_file_on_the_esp_are_taken_as_they_are() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        for (path, giver) in [(CREDENTIAL, Giver::Credential), ("/efi/ballast.toml", Giver::Esp)] {
            fs::create_dir_all(host.path(path).parent().unwrap()).unwrap();
            fs::create_dir_all(host.path("/efi/loader")).unwrap();
            fs::write(host.path(path), b"\xff\0").unwrap();
            let found = look(&host, giver).await;
            assert_eq!(found.given, [(Kind::Settings, b"\xff\0".to_vec())]);
            assert!(found.look().found);
        }
    }
}
