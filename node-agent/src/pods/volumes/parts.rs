//! Parts of volumes (subPath): what a container sees is mounted in a place that only root can change. A pod may put symbolic links into
//! its volumes, and change them at any moment: the kernel follows them inside the volume alone, and what was found is mounted, not its name.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::ErrorKind,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use rustix::{
    fs::{CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, fchmod, fchown, fstat, mkdirat, openat2},
    io::Errno,
    mount::{MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree, unmount},
};

use super::private_folder;
use crate::{
    clients::host::Host,
    pods::{
        model::{Container, Facts},
        sandbox,
    },
};

fn folder(host: &Host, uid: &str) -> PathBuf {
    host.path(format!("{}/parts", sandbox::run_folder(uid)))
}

/// Mounts what the container is to see of volumes whose paths on the host are `volumes`; where, by the paths inside.
///
/// # Errors
/// If a part is not there and cannot be made, or not be mounted.
pub(in crate::pods) fn provide(
    host: &Host,
    uid: &str,
    container: &Container,
    volumes: &BTreeMap<String, String>,
    facts: &Facts,
) -> Result<BTreeMap<String, String>> {
    let mut parts = BTreeMap::new();
    for (index, mount) in container.mounts.iter().enumerate() {
        let (Some(path), Some(volume)) = (&mount.sub_path, volumes.get(&mount.volume)) else { continue };
        let path = facts.fill(path);
        let doing = || format!("volume {}: its part {path}", mount.volume);
        let source = open(Path::new(volume), &path).with_context(doing)?;
        let folder = folder(host, uid);
        private_folder(&folder)?;
        let place = folder.join(format!("{}-{index}", container.name));
        // That of an earlier run may be of a file that is no more.
        release(&place)?;
        bind(&source, &place).with_context(doing)?;
        parts.insert(mount.path.clone(), place.display().to_string());
    }
    Ok(parts)
}

/// Takes away all that was mounted for a version of a pod.
///
/// # Errors
/// If something stays mounted.
pub(super) fn remove(host: &Host, uid: &str) -> Result<()> {
    let folder = folder(host, uid);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        read => read.with_context(|| format!("reading {}", folder.display()))?,
    };
    for entry in entries {
        release(&entry.with_context(|| format!("reading {}", folder.display()))?.path())?;
    }
    fs::remove_dir(&folder).with_context(|| format!("removing {}", folder.display()))
}

/// Unmounts and removes the place of a part. Never more than the empty place: behind a mount there are data of others.
fn release(place: &Path) -> Result<()> {
    match unmount(place, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
        Err(error) => return Err(error).with_context(|| format!("unmounting {}", place.display())),
    }
    let removed = match fs::symlink_metadata(place) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Ok(found) if found.is_dir() => fs::remove_dir(place),
        Ok(_) | Err(_) => fs::remove_file(place),
    };
    removed.with_context(|| format!("removing {}", place.display()))
}

/// What lies at `path` inside the volume; folders that are missing are made, as the volume's own are.
fn open(volume: &Path, path: &str) -> Result<OwnedFd> {
    let path_only = OFlags::PATH | OFlags::CLOEXEC;
    let root = rustix::fs::open(volume, path_only | OFlags::DIRECTORY, Mode::empty()).context("opening the volume")?;
    let inside = |path: &str, flags| openat2(&root, path, path_only | flags, Mode::empty(), ResolveFlags::IN_ROOT);
    match inside(path, OFlags::empty()) {
        Err(Errno::NOENT) => {}
        found => return found.context("looking for it"),
    }
    let own = fstat(&root).context("looking at the volume")?;
    let mut above = String::from(".");
    for name in path.split('/').filter(|name| !name.is_empty() && *name != ".") {
        let next = format!("{above}/{name}");
        match inside(&next, OFlags::DIRECTORY) {
            Ok(_) => {}
            Err(Errno::NOENT) => {
                let parent = inside(&above, OFlags::DIRECTORY).context("opening the folder above it")?;
                make(&parent, name, &own).with_context(|| format!("making the folder {name}"))?;
            }
            Err(error) => return Err(error).context("looking for it"),
        }
        above = next;
    }
    inside(path, OFlags::empty()).context("opening it")
}

/// Makes a folder with the mode and the group of the volume's own, whatever our umask is.
fn make(parent: &OwnedFd, name: &str, own: &Stat) -> Result<()> {
    mkdirat(parent, name, Mode::RWXU)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
    let made = openat2(parent, name, flags, Mode::empty(), resolve).context("opening it")?;
    fchown(&made, None, Some(Gid::from_raw(own.st_gid))).context("giving it to the volume's group")?;
    fchmod(&made, Mode::from_raw_mode(own.st_mode & 0o2777)).context("setting its mode")
}

/// Mounts what `source` is at `place`.
fn bind(source: &OwnedFd, place: &Path) -> Result<()> {
    let is_folder = FileType::from_raw_mode(fstat(source).context("looking at it")?.st_mode).is_dir();
    match is_folder {
        true => fs::create_dir(place).context("making its place")?,
        false => drop(File::create_new(place).context("making its place")?),
    }
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = open_tree(source, "", flags).context("taking it for a mount")?;
    move_mount(&tree, "", CWD, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH).context("mounting it")
}

#[cfg(test)]
mod tests {
    use std::{io::Read, os::unix::fs::symlink};

    use rustix::fs::openat;

    use super::*;

    fn text(found: &OwnedFd) -> String {
        let opened = openat(
            CWD,
            format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(found)),
            OFlags::RDONLY,
            Mode::empty(),
        );
        let mut text = String::new();
        File::from(opened.unwrap()).read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn no_link_leads_out_of_a_volume() {
        let tree = tempfile::tempdir().unwrap();
        let volume = tree.path().join("volume");
        fs::create_dir_all(volume.join("etc")).unwrap();
        fs::write(volume.join("etc/passwd"), "the volume's").unwrap();
        fs::write(tree.path().join("secret"), "the node's").unwrap();
        symlink("/etc/passwd", volume.join("absolute")).unwrap();
        symlink("../../../../../../etc", volume.join("above")).unwrap();
        symlink("../secret", volume.join("secret")).unwrap();
        symlink("/", volume.join("root")).unwrap();
        for path in ["absolute", "above/passwd", "root/etc/passwd", "etc/passwd"] {
            assert_eq!(text(&open(&volume, path).unwrap()), "the volume's", "{path}");
        }
        // It leads to a name in the volume that is not there, and no folder is made in place of a link.
        assert!(open(&volume, "secret").is_err());
        assert!(open(&volume, "etc/passwd/x").is_err());
    }

    #[test]
    fn what_is_missing_is_made_inside() {
        let tree = tempfile::tempdir().unwrap();
        let volume = tree.path().join("volume");
        fs::create_dir(&volume).unwrap();
        symlink("/", volume.join("root")).unwrap();
        open(&volume, "root/a/./b//c").unwrap();
        assert!(volume.join("a/b/c").is_dir());
        let root = Path::new("/a/b/c");
        assert!(!root.exists());
    }

    #[test]
    fn what_is_made_is_as_the_volume_is() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let tree = tempfile::tempdir().unwrap();
        for mode in [0o2777, 0o777, 0o750] {
            let volume = tree.path().join(mode.to_string());
            fs::create_dir(&volume).unwrap();
            fs::set_permissions(&volume, fs::Permissions::from_mode(mode)).unwrap();
            open(&volume, "a/b").unwrap();
            let seen = |path: &str| {
                let found = fs::metadata(volume.join(path)).unwrap();
                (found.permissions().mode() & 0o7777, found.gid())
            };
            assert_eq!((seen("a").0, seen("a/b")), (mode, seen("")));
        }
    }

    #[test]
    fn only_an_empty_place_is_removed() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        let place = folder(&host, "u").join("c-0");
        fs::create_dir_all(place.join("data")).unwrap();
        assert!(remove(&host, "u").is_err() && place.join("data").exists());
        fs::remove_dir(place.join("data")).unwrap();
        remove(&host, "u").unwrap();
        assert!(!place.exists());
        remove(&host, "u").unwrap();
    }
}
