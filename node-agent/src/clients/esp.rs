//! The EFI system partition: mounted read-only, and the boot entries on it.
//! (uapi-group.org/specifications/specs/boot_loader_specification, systemd.io/AUTOMATIC_BOOT_ASSESSMENT)

use std::{fs, io::ErrorKind, path::Path};

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, mount};

use super::host::Host;

/// Where it is mounted.
pub const MOUNT_POINT: &str = "/efi";

/// A boot entry, reduced to what is used here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The file's name.
    pub file: String,
    /// How many tries are left; None if it is not counted.
    pub tries_left: Option<u32>,
    /// Its `version`.
    pub version: String,
    /// Its `options`: the kernel's command line.
    pub options: String,
}

/// Mounts the partition `device` on /efi, read-only, unless something is mounted there.
///
/// # Errors
/// If the kernel refuses, or there is no folder /efi.
pub fn mount_read_only(host: &Host, device: &str) -> Result<()> {
    let point = host.path(MOUNT_POINT);
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    match mount(device, &point, "vfat", flags, Some(c"umask=0077")) {
        // EBUSY: this very partition is mounted there already.
        Ok(()) | Err(rustix::io::Errno::BUSY) => Ok(()),
        Err(error) => Err(error).with_context(|| format!("mounting {device} on {MOUNT_POINT}")),
    }
}

/// The entries in `folder`, which is /efi/loader/entries; none if it is not there.
///
/// # Errors
/// If one cannot be read.
pub fn entries(folder: &Path) -> Result<Vec<Entry>> {
    let doing = || format!("reading {}", folder.display());
    let files = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.with_context(doing)?,
    };
    let mut entries = Vec::new();
    for file in files {
        let path = file.with_context(doing)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".conf") {
            let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            entries.push(parse_entry(&name, &text));
        }
    }
    Ok(entries)
}

fn parse_entry(file: &str, text: &str) -> Entry {
    let value = |key: &str| {
        let lines = text.lines().filter_map(|line| line.trim().split_once([' ', '\t']));
        let found: Vec<&str> = lines.filter(|(word, _)| *word == key).map(|(_, value)| value.trim()).collect();
        found.join(" ")
    };
    Entry { file: file.to_owned(), tries_left: tries_left(file), version: value("version"), options: value("options") }
}

/// `name+LEFT-DONE.conf` or `name+LEFT.conf` → LEFT
fn tries_left(file: &str) -> Option<u32> {
    let (_, counter) = file.strip_suffix(".conf")?.rsplit_once('+')?;
    let (left, done) = counter.split_once('-').unwrap_or((counter, "0"));
    done.parse::<u32>().ok()?;
    left.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_are_counted_in_the_name() {
        for (file, expected) in [
            ("a.conf", None),
            ("a+3.conf", Some(3)),
            ("a+2-1.conf", Some(2)),
            ("a+0-3.conf", Some(0)),
            ("a+b.conf", None),
            ("a+1-x.conf", None),
            ("a+1+2.conf", Some(2)),
        ] {
            assert_eq!(tries_left(file), expected, "{file}");
        }
    }

    #[test]
    fn an_entry_is_keys_and_values() {
        let text = "title Ballast\nversion\t20261121.1\n# options no\noptions quiet\noptions  a=b c\n";
        let entry = parse_entry("x+1.conf", text);
        assert_eq!((entry.version.as_str(), entry.options.as_str()), ("20261121.1", "quiet a=b c"));
    }
}
