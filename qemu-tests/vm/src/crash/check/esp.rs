//! The EFI system partition: as the firmware reads it, and as Linux finds it once fsck.fat has mended what a cut left.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::super::disk::{Region, Scratch, duplicate};
use super::loader::{self, Entry};
use super::sums::Sums;
use crate::tools::Tools;

/// Where kernels and initramfs lie under the names of their content.
const KERNELS: &str = "ballast";
const ENTRIES: &str = "loader/entries";
/// What the firmware starts, and what that reads: nothing changes them.
const LOADER: [&str; 3] = ["EFI/BOOT/BOOTX64.EFI", "EFI/systemd/systemd-bootx64.efi", "loader/loader.conf"];

/// The partition, as somebody reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// What the boot loader lists, first what it starts
    pub entries: Vec<Entry>,
    /// Each kernel and initramfs, by its path, with a slash in front: why it is not what its name says
    pub kernels: BTreeMap<String, Result<(), String>>,
    /// SHA-256 of the boot loader's own files, or why they cannot be read
    pub loader: BTreeMap<String, Result<String, String>>,
    /// Why it cannot be read at all
    pub problem: Option<String>,
}

/// All that is known of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// As the firmware sees it
    pub firmware: View,
    /// As it is when Linux has mounted it
    pub mended: View,
    /// Whether fsck.fat had something to do, or will have at the next boot that is counted
    pub is_mended: bool,
    /// What fsck.fat still finds
    pub damage: Option<String>,
}

/// Reads it, has a copy mended as the agent does, and reads that.
pub(super) fn read(tools: &Tools, scratch: &Scratch, sums: &Sums) -> Result<Facts> {
    let place = scratch.path(Region::Esp);
    let firmware = view(place, sums)?;
    // The agent asks fsck.fat only if the kernel left its mark that the partition is in use, or if the boot loader counts this boot.
    let (is_dirty, is_counted) = (is_dirty(place)?, firmware.entries.first().is_some_and(|it| it.tries_left > Some(0)));
    if !is_dirty && !is_counted {
        let found = fsck(tools, place, &["-n"])?.err();
        let is_lost_room = found.as_deref().is_some_and(is_lost_room);
        let damage = found.filter(|_| !is_lost_room);
        return Ok(Facts { mended: firmware.clone(), firmware, is_mended: is_lost_room, damage });
    }
    let copy = scratch.folder().join("esp.mended");
    duplicate(place, &copy)?;
    let mended_well = fsck(tools, &copy, &["-a", "-w"])?;
    let is_mended = is_dirty || !matches!(mended_well, Ok(false));
    let damage = match mended_well {
        Ok(_) => fsck(tools, &copy, &["-n"])?.err(),
        Err(why) => Some(why),
    };
    Ok(Facts { mended: view(&copy, sums)?, firmware, is_mended, damage })
}

/// Whether all that fsck.fat found is clusters that belong to no file: they harm nobody, and the check at the next counted boot frees them.
fn is_lost_room(found: &str) -> bool {
    let is_about_it = |line: &str| {
        ["fsck.fat ", "Reclaimed ", "Free cluster summary wrong", "Auto-correcting.", "Leaving filesystem unchanged."]
            .iter()
            .any(|start| line.starts_with(start))
            || line.is_empty()
            || line.contains(" files, ")
    };
    found.contains("Reclaimed ") && found.split("; ").map(str::trim).all(is_about_it)
}

/// Whether the kernel's mark that a FAT is in use is there (kernel: fs/fat/inode.c, `fat_set_state`).
fn is_dirty(place: &Path) -> Result<bool> {
    let mut sector = [0; 512];
    let read = File::open(place).and_then(|mut file| file.read_exact(&mut sector));
    read.with_context(|| format!("reading {}", place.display()))?;
    Ok(sector[65] & 1 != 0)
}

/// What fsck.fat found, if that is a fault; whether it mended something.
fn fsck(tools: &Tools, place: &Path, options: &[&str]) -> Result<Result<bool, String>> {
    let done = tools
        .command("fsck.fat")
        .args(options)
        .arg(place)
        .output()
        .context("starting fsck.fat (`make setup` installs it)")?;
    match (done.status.code(), options) {
        (Some(0), _) => Ok(Ok(false)),
        (Some(1), ["-a", ..]) => Ok(Ok(true)),
        (Some(1), _) => Ok(Err(String::from_utf8_lossy(&done.stdout).trim().replace('\n', "; "))),
        (status, _) => bail!("fsck.fat ended with {status:?}: {}", String::from_utf8_lossy(&done.stderr).trim()),
    }
}

fn view(place: &Path, sums: &Sums) -> Result<View> {
    let file = File::open(place).with_context(|| format!("opening {}", place.display()))?;
    Ok(read_view(file, sums).unwrap_or_else(|error| View { problem: Some(format!("{error:#}")), ..View::default() }))
}

/// A file that is only read: the crate wants to be able to write.
struct ReadOnly(File);

impl Read for ReadOnly {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(bytes)
    }
}

impl Seek for ReadOnly {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

impl Write for ReadOnly {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(Error::from(ErrorKind::PermissionDenied))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

type Folder<'a> = fatfs::Dir<'a, ReadOnly>;

fn read_view(file: File, sums: &Sums) -> Result<View> {
    let system = fatfs::FileSystem::new(ReadOnly(file), fatfs::FsOptions::new()).context("it is no FAT file system")?;
    let root = system.root_dir();
    let mut view = View::default();
    for name in names(&root, KERNELS)? {
        let path = format!("{KERNELS}/{name}");
        view.kernels.insert(format!("/{path}"), is_named(&root, &path, &name, sums));
    }
    for path in LOADER {
        view.loader.insert(path.to_owned(), sha256(&root, path, sums));
    }
    let mut texts = Vec::new();
    for name in names(&root, ENTRIES)? {
        // What cannot be read the boot loader passes over.
        if let Ok(bytes) = content(&root, &format!("{ENTRIES}/{name}")) {
            texts.push((name, String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    view.entries = loader::order(&texts, |path| view.kernels.contains_key(path));
    Ok(view)
}

fn names(root: &Folder<'_>, folder: &str) -> Result<Vec<String>> {
    let doing = || format!("listing {folder}");
    let mut names = Vec::new();
    for entry in root.open_dir(folder).with_context(doing)?.iter() {
        let entry = entry.with_context(doing)?;
        if entry.is_file() {
            names.push(entry.file_name());
        }
    }
    Ok(names)
}

fn content(root: &Folder<'_>, path: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    root.open_file(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn sha256(root: &Folder<'_>, path: &str, sums: &Sums) -> Result<String, String> {
    content(root, path).map(|bytes| hex::encode(sums.sha256(path, bytes))).map_err(|error| format!("{error:#}"))
}

/// Whether a file has the content that its name, SHA-256 and a dash first, says.
fn is_named(root: &Folder<'_>, path: &str, name: &str, sums: &Sums) -> Result<(), String> {
    let named = name.split_once('-').map_or(name, |(sum, _)| sum);
    let content = content(root, path).map_err(|error| format!("it cannot be read: {error:#}"))?;
    if sums.is_named(path, &content, named) {
        Ok(())
    } else {
        Err(format!("it has another content, {} bytes", content.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_clusters_are_no_damage_and_shared_ones_are() {
        let lost = "fsck.fat 4.2 (2021-01-31); Reclaimed 1 unused cluster (4096 bytes).; Free cluster summary wrong (6 vs. really 7);   \
                    Auto-correcting.; ; Leaving filesystem unchanged.; /dev/shm/esp: 15 files, 4290/67447 clusters";
        assert!(is_lost_room(lost));
        assert!(!is_lost_room(&lost.replace("; ;", "; /LOADER/a.conf;   Duplicate directory entry.; ;")));
        assert!(!is_lost_room("fsck.fat 4.2 (2021-01-31); Leaving filesystem unchanged."));
    }
}
