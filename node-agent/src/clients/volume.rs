//! Volumes with user-data: found by their label, mounted read-only for a moment, and read within limits.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    io::Errno,
    mount::{MountFlags, UnmountFlags, mount, unmount},
};

use super::{
    disk::{Disk, Partition},
    exec,
    host::Host,
};

/// Knows what is on a device, by its superblock (blkid(8)).
const BLKID: &str = "/usr/sbin/blkid";

/// It reads a few sectors.
const BLKID_DEADLINE: Duration = Duration::from_secs(10);

/// Where a volume is mounted while it is read.
const MOUNT_POINT: &str = "/run/ballast/volume";

/// File systems of volumes that carry settings; others are not given to the kernel to parse.
const FILE_SYSTEMS: [&str; 2] = ["iso9660", "vfat"];

/// Block devices that hold nobody's volume: the kernel's own, in memory or made of others.
const NO_VOLUMES: [&str; 5] = ["loop", "ram", "zram", "dm-", "nbd"];

/// A file system on a block device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// As `/dev/sr0`.
    pub device: String,
    /// Its label.
    pub label: String,
    /// As `iso9660`.
    pub file_system: String,
    /// Where it is.
    pub place: Place,
}

/// Where a block device is, by what is known of it whoever has filled it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// What it is plugged into: its path below /sys/devices, without what is numbered anew on each boot.
    pub location: String,
    /// Its disk's serial number or worldwide name.
    pub serial: Option<String>,
    /// Its partition's number.
    pub partition: Option<u32>,
}

impl Place {
    /// Of the device `name` in /sys.
    fn of(host: &Host, name: &str) -> Self {
        let folder = host.path(format!("/sys/class/block/{name}"));
        let Ok(folder) = folder.canonicalize() else { return Self::default() };
        let text = |path: PathBuf| {
            let text = fs::read_to_string(path).ok()?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        };
        let partition = text(folder.join("partition")).and_then(|number| number.parse().ok());
        let disk = if partition.is_some() { folder.parent().unwrap_or(&folder) } else { &folder };
        let serial = SERIALS.iter().find_map(|file| text(disk.join(file)));
        let devices = host.path("/sys/devices").canonicalize().unwrap_or_default();
        let above = disk.parent().and_then(|above| above.strip_prefix(devices).ok()).unwrap_or(Path::new(""));
        Self { location: location(above), serial, partition }
    }
}

/// Where the kernel has a disk's serial number or name: virtio, NVMe, SCSI and ATA.
const SERIALS: [&str; 4] = ["serial", "device/serial", "device/wwid", "wwid"];

/// What `above`, the path to a disk below /sys/devices, says of where it is plugged in. The kernel numbers virtio devices, SCSI hosts and NVMe
/// controllers in the order in which it finds them.
fn location(above: &Path) -> String {
    let is_numbered = |part: &str, prefix: &str| {
        part.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let parts = above.iter().filter_map(|part| part.to_str()).filter_map(|part| {
        let is_left_out = matches!(part, "block" | "nvme")
            || ["virtio", "host", "nvme"].iter().any(|prefix| is_numbered(part, prefix))
            || part.starts_with("target");
        // Of HOST:CHANNEL:TARGET:LUN all but the host's number stays.
        let numbers: Vec<&str> = part.split(':').collect();
        let is_address = numbers.len() == 4 && numbers.iter().all(|number| is_numbered(number, ""));
        match (is_left_out, is_address) {
            (true, _) => None,
            (false, true) => Some(numbers[1..].join(":")),
            (false, false) => Some(part.to_owned()),
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

/// Whether `device` was there when the machine booted: udev saw it no later than a while after it was informed of all present devices.
///
/// # Errors
/// If nobody can say when that was.
pub async fn is_from_boot(host: &Host, device: &str) -> Result<bool> {
    let name = device.trim_start_matches("/dev/").replace('/', "!");
    let number = fs::read_to_string(host.path(format!("/sys/class/block/{name}/dev")));
    let number = number.with_context(|| format!("reading the number of {device}"))?;
    let path = format!("{UDEV_DATA}{}", number.trim());
    let reported = fs::read_to_string(host.path(&path)).with_context(|| format!("reading {path}"))?;
    let seen = reported.lines().find_map(|line| line.strip_prefix("I:")?.parse().ok());
    let seen = Duration::from_micros(seen.with_context(|| format!("{path} does not say when {device} came"))?);
    let systemctl = host.path(SYSTEMCTL).display().to_string();
    let words = ["show", "--property=ExecMainExitTimestampMonotonic", "--value", UDEV_TRIGGER];
    let asked = exec::run(&systemctl, words, SYSTEMCTL_DEADLINE).await.context("asking when udev was started")?;
    let asked: u64 = asked.trim().parse().context("reading when udev was started")?;
    if asked == 0 {
        bail!("udev was not informed of the devices that were there");
    }
    Ok(seen <= Duration::from_micros(asked) + COLD_PLUG)
}

/// What udev knows of a block device, by its number (udev's `device-private.c`).
const UDEV_DATA: &str = "/run/udev/data/b";

/// Notifies udev of all devices that are there.
const UDEV_TRIGGER: &str = "systemd-udev-trigger.service";

/// How long after that a device may appear that was there: its module has to be loaded.
const COLD_PLUG: Duration = Duration::from_secs(60);

const SYSTEMCTL: &str = "/usr/bin/systemctl";

/// It asks process 1.
const SYSTEMCTL_DEADLINE: Duration = Duration::from_secs(10);

/// The names that the node's own partitions begin with.
const OWN: &str = "ballast-";

/// The volumes with a label that could carry settings. Of the node's own disk only what is no part of the system: whoever installs a machine
/// (ironic) may have added a partition.
///
/// # Errors
/// If /sys cannot be read.
pub async fn list(host: &Host) -> Result<Vec<Volume>> {
    let own = Disk::below(host, "/sysroot")?;
    let is_own = |device: &str| {
        own.as_ref().is_some_and(|disk| {
            let is_system = |partition: &Partition| partition.device == device && partition.label.starts_with(OWN);
            disk.device == device || disk.partitions.iter().any(is_system)
        })
    };
    let mut volumes = Vec::new();
    for name in devices(host)? {
        let device = format!("/dev/{}", name.replace('!', "/"));
        if is_own(&device) {
            continue;
        }
        let program = host.path(BLKID).display().to_string();
        match exec::run(&program, ["-p", "-o", "export", "-u", "filesystem", &device], BLKID_DEADLINE).await {
            Ok(reported) => {
                volumes
                    .extend(parse(&device, &reported).map(|volume| Volume { place: Place::of(host, &name), ..volume }));
            }
            // It says so by its status when there is nothing that it knows, or no disc in the drive.
            Err(error) => log::debug!("{error:#}"),
        }
    }
    Ok(volumes)
}

/// The names of block devices in /sys that may have a volume, sorted.
fn devices(host: &Host) -> Result<Vec<String>> {
    const FOLDER: &str = "/sys/class/block";
    let entries = match fs::read_dir(host.path(FOLDER)) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("reading {FOLDER}"))?,
    };
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| !NO_VOLUMES.iter().any(|prefix| name.starts_with(prefix)));
    names.sort();
    Ok(names)
}

fn parse(device: &str, reported: &str) -> Option<Volume> {
    let value = |key: &str| {
        let mut lines = reported.lines().filter_map(|line| line.split_once('='));
        lines.find(|(name, _)| *name == key).map(|(_, value)| value.replace('\\', ""))
    };
    let (label, file_system) = (value("LABEL")?, value("TYPE")?);
    Some(Volume { device: device.to_owned(), label, file_system, place: Place::default() })
}

/// The files `names` of `volume`, at most `max` bytes of each; None for one that is not there.
///
/// # Errors
/// If it cannot be mounted, or a file not be read.
pub fn read(host: &Host, volume: &Volume, names: &[&str], max: u64) -> Result<Vec<Option<Vec<u8>>>> {
    let Volume { device, file_system, .. } = volume;
    if !FILE_SYSTEMS.contains(&file_system.as_str()) {
        bail!("it has a file system {file_system}, expected one of {}", FILE_SYSTEMS.join(", "));
    }
    let point = host.path(MOUNT_POINT);
    fs::create_dir_all(&point).with_context(|| format!("making {MOUNT_POINT}"))?;
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    // Mounts of one device share what they were first mounted with, and this one may be the ESP's first.
    let options = (file_system == "vfat").then_some(c"umask=0077");
    mount(device.as_str(), &point, file_system.as_str(), flags, options)
        .with_context(|| format!("mounting {device}"))?;
    let found = names.iter().map(|name| read_in(&point, name, max)).collect();
    unmount(&point, UnmountFlags::DETACH).with_context(|| format!("unmounting {device}"))?;
    found
}

/// At most `max` bytes of the file `name` below `folder`, which somebody else filled: no link leads out of it, and only regular files
/// are read. None if it is not there.
///
/// # Errors
/// If it is there and cannot be read.
pub fn read_in(folder: &Path, name: &str, max: u64) -> Result<Option<Vec<u8>>> {
    let doing = || format!("reading {name}");
    let mut at = openat(CWD, folder, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).with_context(doing)?;
    // One part after the other, and no link: openat2(2) would do it at once, but a service with RestrictSUIDSGID= has none.
    let (folders, file) = name.rsplit_once('/').map_or((None, name), |(folders, file)| (Some(folders), file));
    for part in folders.into_iter().flat_map(|folders| folders.split('/')) {
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        at = match openat(&at, part, flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
            next => next.with_context(doing)?,
        };
    }
    // A pipe would make us wait.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let file = match openat(&at, file, flags, Mode::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(None),
        file => File::from(file.with_context(doing)?),
    };
    if !file.metadata().with_context(doing)?.is_file() {
        bail!("{name} is not a regular file");
    }
    let mut bytes = Vec::new();
    file.take(max).read_to_end(&mut bytes).with_context(doing)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_blkid_says_is_read() {
        let reported = "DEVNAME=/dev/sr0\nBLOCK_SIZE=2048\nUUID=2026-11-21-00-00-00-00\nLABEL=config-2\nTYPE=iso9660\n";
        let expected = Volume {
            device: "/dev/sr0".to_owned(),
            label: "config-2".to_owned(),
            file_system: "iso9660".to_owned(),
            place: Place::default(),
        };
        assert_eq!(parse("/dev/sr0", reported), Some(expected));
        assert_eq!(parse("/dev/vda1", "DEVNAME=/dev/vda1\nTYPE=ext4\n"), None);
    }

    #[test]
    fn devices_that_hold_no_volume_are_passed_over() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        assert_eq!(devices(&host).unwrap(), [""; 0]);
        for name in ["vdb", "sr0", "loop0", "zram0", "ram1", "dm-0"] {
            fs::create_dir_all(host.path(format!("/sys/class/block/{name}"))).unwrap();
        }
        assert_eq!(devices(&host).unwrap(), ["sr0", "vdb"]);
    }

    #[test]
    fn no_link_leads_out_and_no_pipe_is_waited_for() {
        let tree = tempfile::tempdir().unwrap();
        let folder = tree.path().join("volume");
        fs::create_dir_all(folder.join("openstack/latest")).unwrap();
        fs::write(tree.path().join("secret"), "s3cret").unwrap();
        fs::write(folder.join("openstack/latest/user_data"), "hostname = \"a\"").unwrap();
        symlink("../secret", folder.join("user-data")).unwrap();
        let reported = |name| read_in(&folder, name, 8).map_err(|error| error.to_string());
        assert_eq!(reported("openstack/latest/user_data"), Ok(Some(b"hostname".to_vec())));
        assert_eq!(reported("none/user_data"), Ok(None));
        assert_eq!(reported("user-data"), Err("reading user-data".to_owned()));
        assert_eq!(reported("openstack"), Err("openstack is not a regular file".to_owned()));
    }
}
