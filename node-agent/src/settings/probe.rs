//! Looks for sources of settings for the first boot.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use ballast_settings::{Kind, MAX_BYTES};
use tokio::{task::spawn_blocking, time::timeout};

use super::{
    act::keep::Given,
    model::{Probe, SourceKind, VolumeId},
    observe,
};
use crate::clients::{
    disk::Disk,
    esp,
    host::Host,
    volume::{self, Place, Volume},
};

/// On the EFI system partition, where an operator can lay it into an image from any system.
const ESP_FILE: &str = "ballast.toml";

/// The EFI system partition's name in the partition table.
const ESP_LABEL: &str = "ballast-esp";

/// One byte more than a source may have shows that it is too large.
const MAX_READ: u64 = MAX_BYTES as u64 + 1;

/// What is on a volume with this label. (cloudinit.readthedocs.io: NoCloud, ConfigDrive)
const VOLUMES: [(&str, [(&str, Kind); 4]); 2] = [
    (
        "cidata",
        [
            ("user-data", Kind::Settings),
            ("vendor-data", Kind::VendorData),
            ("network-config", Kind::NetworkConfig),
            ("meta-data", Kind::MetaData),
        ],
    ),
    (
        "config-2",
        [
            ("openstack/latest/user_data", Kind::Settings),
            ("openstack/latest/vendor_data.json", Kind::VendorData),
            ("openstack/latest/network_data.json", Kind::NetworkData),
            ("openstack/latest/meta_data.json", Kind::MetaData),
        ],
    ),
];

/// Mounting and reading a small volume takes moments; a device that does not answer is left alone.
const VOLUME_DEADLINE: Duration = Duration::from_secs(30);

/// What came of a probe. There may be secrets in what was given: it is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// What was given; nothing if it is empty.
    pub given: Given,
    /// What, or why nothing, in one sentence.
    pub what: String,
    /// Whether there was more, which could not be read.
    pub failed: bool,
    /// The volume that it is on, or that could not be read.
    pub volume: Option<VolumeId>,
    /// Whether anybody was asked at all: if not, what is known from before stays.
    pub was_asked: bool,
}

impl std::fmt::Debug for Found {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { given, what, failed, volume, was_asked: _ } = self;
        let given: Vec<(Kind, usize)> = given.iter().map(|(kind, bytes)| (*kind, bytes.len())).collect();
        write!(formatter, "Found({given:?} bytes, {what:?}, failed: {failed}, {volume:?})")
    }
}

impl Found {
    /// All that is there.
    pub fn all(given: Given, what: impl Into<String>) -> Self {
        Self { given, what: what.into(), failed: false, volume: None, was_asked: true }
    }

    /// Nothing, and why.
    pub fn nothing(why: impl Into<String>) -> Self {
        Self::all(Vec::new(), why)
    }

    /// Nobody was asked, and why.
    fn not_asked(why: impl Into<String>) -> Self {
        Self { was_asked: false, ..Self::nothing(why) }
    }

    /// As it is written down, now.
    pub fn probe(&self) -> Probe {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let Self { given, what, failed, volume, was_asked: _ } = self;
        let (found, what, volume) = (!given.is_empty(), what.clone(), volume.clone());
        Probe { at: now.as_secs(), found, what, failed: *failed, volume }
    }
}

/// What `source` gives to a machine that is there in person: all but the cloud, which the network is needed for.
pub async fn probe(host: &Host, source: SourceKind) -> Found {
    let found = match source {
        SourceKind::Credential => credential(host),
        SourceKind::Volume => volumes(host).await,
        SourceKind::Esp => on_esp(host).await,
        SourceKind::Metadata => return Found::nothing("the cloud is asked by the agent"),
    };
    found.unwrap_or_else(|error| Found { failed: true, ..Found::nothing(format!("{error:#}")) })
}

/// What `source` gives now to a machine whose first boot found what `before` says. Only the volume that it used is asked again: whoever can
/// plug one into a running node, or is given one by it, could make it another's with a label.
pub async fn probe_again(host: &Host, source: SourceKind, before: Option<&Probe>) -> Found {
    if source != SourceKind::Volume {
        return probe(host, source).await;
    }
    let known = before.and_then(|before| before.volume.as_ref()).filter(|known| !known.location.is_empty());
    let Some(known) = known else {
        let is_unknown = before.is_some_and(|before| before.found || before.failed);
        return Found::not_asked(if is_unknown {
            "it was not written down which volume the first boot used, so none is asked"
        } else {
            "the first boot found no volume, so none is asked"
        });
    };
    let found = same_volume(host, known).await;
    let found = found.unwrap_or_else(|error| Found { failed: true, ..Found::nothing(format!("{error:#}")) });
    Found { volume: Some(known.clone()), ..found }
}

async fn same_volume(host: &Host, known: &VolumeId) -> Result<Found> {
    let all = volume::list(host).await.context("looking for the volume that the first boot used")?;
    let (same, others): (Vec<Volume>, Vec<Volume>) = all.into_iter().partition(|volume| id(volume) == *known);
    let others: String = others
        .iter()
        .filter(|volume| files(volume).is_some())
        .map(|volume| format!("; {} is another, and is not asked", name(volume)))
        .collect();
    let Some(volume) = same.first() else {
        let what =
            format!("the volume that the first boot used ({}, {}) is not there{others}", known.label, known.location);
        return Ok(Found::not_asked(what));
    };
    if !volume::is_from_boot(host, &volume.device).await? {
        let what = format!("{} was plugged in while the node ran, and is not asked{others}", name(volume));
        return Ok(Found::not_asked(what));
    }
    let found = first_with_files(host, &same).await;
    Ok(Found { what: format!("{}{others}", found.what), ..found })
}

/// By what `volume` is known again.
fn id(volume: &Volume) -> VolumeId {
    let Volume { device: _, label, file_system, place: Place { location, serial, partition } } = volume.clone();
    VolumeId { location, serial, partition, label: label.to_ascii_lowercase(), file_system }
}

/// The files that a volume with this label may have.
fn files(volume: &Volume) -> Option<&'static [(&'static str, Kind)]> {
    let known = VOLUMES.iter().find(|(label, _)| volume.label.eq_ignore_ascii_case(label));
    known.map(|(_, files)| &files[..])
}

fn name(volume: &Volume) -> String {
    format!("{} ({}, {})", volume.label, volume.device, volume.file_system)
}

/// The systemd credential.
///
/// # Errors
/// If it is there and cannot be read.
pub fn credential(host: &Host) -> Result<Found> {
    let bytes = observe::read(host, &observe::credential()).context("the credential ballast.settings")?;
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
    let (mut without, mut failed) = (Vec::new(), None);
    for (label, files) in VOLUMES {
        for volume in all.iter().filter(|volume| volume.label.eq_ignore_ascii_case(label)) {
            let name = name(volume);
            match on_volume(host, volume, &files).await {
                Ok(given) if given.is_empty() => without.push(format!("{name} has none of the files")),
                Ok(given) => {
                    let reported: Vec<String> = without.into_iter().chain([name]).collect();
                    let volume = Some(id(volume));
                    let what = reported.join("; ");
                    return Found { given, what, failed: failed.is_some(), volume, was_asked: true };
                }
                Err(error) => {
                    failed.get_or_insert_with(|| id(volume));
                    without.push(format!("{name}: {error:#}"));
                }
            }
        }
    }
    let what = match without.as_slice() {
        [] => "there is no volume with the label CIDATA or config-2".to_owned(),
        without => without.join("; "),
    };
    Found { failed: failed.is_some(), volume: failed, ..Found::nothing(what) }
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
    let volume = Volume {
        device: partition.device.clone(),
        label: ESP_LABEL.to_owned(),
        file_system: "vfat".to_owned(),
        place: Place::default(),
    };
    let given = on_volume(host, &volume, &[(ESP_FILE, Kind::Settings)]).await.context("reading the ESP")?;
    Ok(found(given.into_iter().next().map(|(_, bytes)| bytes)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::settings::observe::CREDENTIAL;

    #[tokio::test]
    async fn what_is_not_there_is_reported_and_nothing_is_given() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        for (source, why) in [
            (SourceKind::Credential, "there is no credential ballast.settings"),
            (SourceKind::Volume, "there is no volume with the label CIDATA or config-2"),
            (SourceKind::Esp, "this node has no ESP"),
        ] {
            assert_eq!(probe(&host, source).await, Found::nothing(why));
        }
    }

    #[tokio::test]
    async fn what_is_there_and_cannot_be_read_is_not_nothing() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        fs::create_dir_all(host.path(CREDENTIAL)).unwrap();
        let found = probe(&host, SourceKind::Credential).await;
        assert!(found.failed && found.probe().failed && found.given.is_empty(), "{found:?}");
        let volume = |label: &str| Volume {
            device: "/dev/vdb".to_owned(),
            label: label.to_owned(),
            file_system: "ext4".to_owned(),
            place: Place::default(),
        };
        let found = first_with_files(&host, &[volume("CIDATA"), volume("other")]).await;
        assert!(found.failed && found.what.starts_with("CIDATA (/dev/vdb, ext4): it has a file system"), "{found:?}");
        assert!(!first_with_files(&host, &[volume("other")]).await.failed);
    }

    #[tokio::test]
    async fn the_credential_and_the_file_on_the_esp_are_taken_as_they_are() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        for (path, source) in [(CREDENTIAL, SourceKind::Credential), ("/efi/ballast.toml", SourceKind::Esp)] {
            fs::create_dir_all(host.path(path).parent().unwrap()).unwrap();
            fs::create_dir_all(host.path("/efi/loader")).unwrap();
            fs::write(host.path(path), b"\xff\0").unwrap();
            let found = probe(&host, source).await;
            assert_eq!(found.given, [(Kind::Settings, b"\xff\0".to_vec())]);
            assert!(found.probe().found);
        }
    }

    /// A machine with a CD that blkid finds, `place` below /sys/devices, whose device udev saw `seen` seconds after the kernel's start; udev was
    /// informed of all devices after 10 s.
    fn machine(place: &str, serial: Option<&str>, seen: u32) -> (tempfile::TempDir, Host) {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        let write = |path: &str, text: &str| {
            let path = host.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let folder = format!("/sys/devices/{place}/block/sr0");
        write(&format!("{folder}/dev"), "11:0\n");
        if let Some(serial) = serial {
            write(&format!("{folder}/serial"), serial);
        }
        fs::create_dir_all(host.path("/sys/class/block")).unwrap();
        std::os::unix::fs::symlink(host.path(&folder), host.path("/sys/class/block/sr0")).unwrap();
        write("/run/udev/data/b11:0", &format!("S:cdrom\nI:{seen}000000\nE:ID_FS_LABEL=cidata\n"));
        // It has a file system that is not given to the kernel, so that whoever asks it fails.
        program(&host, "/usr/sbin/blkid", "printf 'LABEL=CIDATA\\nTYPE=ext4\\n'");
        program(&host, "/usr/bin/systemctl", "echo 10000000");
        (tree, host)
    }

    fn program(host: &Host, path: &str, script: &str) {
        crate::clients::exec::script(&host.path(path), script);
    }

    const PLACE: &str = "pci0000:00/0000:00:04.0/virtio3/host2/target2:0:0/2:0:0:1";

    #[tokio::test]
    async fn only_the_volume_of_the_first_boot_is_asked_again() {
        let (_tree, host) = machine(PLACE, Some("vol-1"), 11);
        let first = probe(&host, SourceKind::Volume).await.probe();
        let known = first.volume.clone().unwrap();
        assert_eq!(
            (known.location.as_str(), known.serial.as_deref()),
            ("pci0000:00/0000:00:04.0/0:0:1", Some("vol-1"))
        );
        assert!(first.failed && known.label == "cidata", "{first:?}");
        let written = serde_json::to_string(&first).unwrap();
        assert_eq!(serde_json::from_str::<Probe>(&written).unwrap(), first);

        // It fails as the first time, since it was asked: also if the kernel numbers it otherwise.
        let moved = PLACE.replace("virtio3", "virtio1").replace("host2", "host0").replace("2:0:0", "0:0:0");
        for place in [PLACE, &moved] {
            let (_tree, host) = machine(place, Some("vol-1"), 69);
            let found = probe_again(&host, SourceKind::Volume, Some(&first)).await;
            assert!(found.failed && found.what.contains("it has a file system ext4"), "{place}: {found:?}");
            assert_eq!(found.volume.as_ref(), Some(&known));
        }
        let other = PLACE.replace("04.0", "05.0");
        for (place, serial, seen, expected) in [
            (other.as_str(), Some("vol-1"), 11, "is not there; CIDATA (/dev/sr0, ext4) is another, and is not asked"),
            (PLACE, Some("vol-2"), 11, "is not there; CIDATA (/dev/sr0, ext4) is another, and is not asked"),
            (PLACE, None, 11, "is not there; CIDATA"),
            (PLACE, Some("vol-1"), 71, "CIDATA (/dev/sr0, ext4) was plugged in while the node ran, and is not asked"),
        ] {
            let (_tree, host) = machine(place, serial, seen);
            let found = probe_again(&host, SourceKind::Volume, Some(&first)).await;
            assert!(!found.failed && found.given.is_empty() && found.what.contains(expected), "{found:?}");
        }
    }

    #[tokio::test]
    async fn who_found_no_volume_at_the_first_boot_asks_none() {
        let (_tree, host) = machine(PLACE, None, 11);
        let nothing = Found::not_asked("there is no volume").probe();
        let of_an_older_release = Probe { found: true, ..nothing.clone() };
        for (before, expected) in [
            (None, "the first boot found no volume, so none is asked"),
            (Some(&nothing), "the first boot found no volume, so none is asked"),
            (Some(&of_an_older_release), "it was not written down which volume the first boot used, so none is asked"),
        ] {
            assert_eq!(probe_again(&host, SourceKind::Volume, before).await, Found::not_asked(expected));
        }
        // Who cannot say when it came does not ask it.
        let first = probe(&host, SourceKind::Volume).await.probe();
        program(&host, "/usr/bin/systemctl", "echo 0");
        let found = probe_again(&host, SourceKind::Volume, Some(&first)).await;
        assert!(found.failed && found.what.contains("udev was not informed"), "{found:?}");
    }
}
