//! Writing to the partition: writable only as long as something is written, every file synced before it has its name.

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use rustix::{
    fs::syncfs,
    io::Errno,
    mount::{MountFlags, mount_remount},
};

use super::{FLAGS, MOUNT_POINT, Turn, path};
use crate::clients::host::Host;

/// The partition while it is writable; read-only again when this is dropped.
#[derive(Debug)]
pub struct Writable {
    host: Host,
    /// Given back once it is read-only again.
    _turn: Turn,
}

impl Writable {
    /// Makes the mounted partition writable.
    ///
    /// # Errors
    /// If it is not mounted, or the kernel refuses.
    pub fn open(host: &Host, turn: Turn) -> Result<Self> {
        remount(host, MountFlags::empty()).with_context(|| format!("making {MOUNT_POINT} writable"))?;
        Ok(Self { host: host.clone(), _turn: turn })
    }

    /// Writes `content` to `name`, a path on the partition: first under another name, synced, then in one step under its
    /// own, synced too. When this returns the file is there after a power cut; before, there was none or the old one.
    ///
    /// # Errors
    /// If it cannot be written; nothing is under `name` then that was not before.
    pub fn put(&self, name: &str, content: &[u8]) -> Result<()> {
        let file = path(&self.host, name);
        let folder = file.parent().with_context(|| format!("{name} has no folder"))?;
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        // Neither the boot loader nor the collector takes a name without an ending for anything.
        let part = folder.join("part");
        let written = write(&part, content).and_then(|()| fs::rename(&part, &file));
        if let Err(error) = written {
            let _ = fs::remove_file(&part);
            return Err(error).with_context(|| format!("writing {}", file.display()));
        }
        sync(folder)
    }

    /// Removes the file `name`; that it is not there is no error.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<()> {
        let file = path(&self.host, name);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("removing {}", file.display()));
            }
            Ok(()) | Err(_) => {}
        }
        file.parent().map_or(Ok(()), sync)
    }
}

impl Drop for Writable {
    fn drop(&mut self) {
        let point = self.host.path(MOUNT_POINT);
        if let Err(error) = sync(&point).and_then(|()| remount(&self.host, MountFlags::RDONLY)) {
            log::warn!("making {MOUNT_POINT} read-only again: {error:#}");
        }
    }
}

fn remount(host: &Host, flags: MountFlags) -> Result<()> {
    let point: PathBuf = host.path(MOUNT_POINT);
    match mount_remount(&point, FLAGS | flags, "") {
        Ok(()) => Ok(()),
        // A folder, as in a tree of files that tests make: there is nothing to remount.
        Err(Errno::INVAL) if host.path("/") != Path::new("/") => Ok(()),
        Err(Errno::INVAL) => bail!("the EFI system partition is not mounted"),
        Err(error) => Err(error.into()),
    }
}

fn write(file: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut open = OpenOptions::new().write(true).create(true).truncate(true).open(file)?;
    open.write_all(content)?;
    open.sync_all()
}

/// FAT has no journal: what must be there is synced with the whole file system.
fn sync(folder: &Path) -> Result<()> {
    let open = File::open(folder).with_context(|| format!("opening {}", folder.display()))?;
    syncfs(&open).with_context(|| format!("syncing {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::{super::Turns, *};

    #[tokio::test]
    async fn a_file_is_there_whole_or_not_at_all() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        fs::create_dir_all(host.path("/efi")).unwrap();
        let esp = match Writable::open(&host, Turns::default().take().await) {
            Ok(esp) => esp,
            // Who may not mount is told so before there is a look at the folder.
            Err(error) => return assert!(format!("{error:#}").contains("not permitted"), "{error:#}"),
        };
        esp.put("loader/entries/a.conf", b"one").unwrap();
        esp.put("loader/entries/a.conf", b"two").unwrap();
        assert_eq!(fs::read(path(&host, "loader/entries/a.conf")).unwrap(), b"two");
        assert_eq!(fs::read_dir(path(&host, "loader/entries")).unwrap().count(), 1);
        esp.remove("loader/entries/a.conf").unwrap();
        esp.remove("loader/entries/a.conf").unwrap();
        assert_eq!(fs::read_dir(path(&host, "loader/entries")).unwrap().count(), 0);
    }
}
