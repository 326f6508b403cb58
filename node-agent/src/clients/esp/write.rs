//! Writing to the partition: writable only as long as something is written, and in the order of [`super::steps`].

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use rustix::{
    fs::{CWD, RenameFlags, renameat_with, syncfs},
    io::Errno,
    mount::{MountFlags, mount_remount},
};

use super::{
    ENTRIES, EspGuard, FLAGS, KERNELS, MOUNT_POINT, check, path,
    steps::{self, Step},
};
use crate::clients::host::Host;

/// What a file is called until it has its name: neither the boot loader nor anybody else looks for that.
const DRAFT: &str = ".part";

/// The partition while it is writable; read-only again when this is dropped.
#[derive(Debug)]
pub struct Writable {
    host: Host,
    /// Given back once it is read-only again.
    _guard: EspGuard,
}

impl Writable {
    /// Makes the mounted partition writable, and takes away what a power cut left there of files that never got their name.
    ///
    /// # Errors
    /// If it is not mounted, or the kernel refuses.
    pub fn open(host: &Host, guard: EspGuard) -> Result<Self> {
        remount(host, MountFlags::empty()).with_context(|| format!("making {MOUNT_POINT} writable"))?;
        let writable = Self { host: host.clone(), _guard: guard };
        // That it is in use is on the disk before anything else is: so a cut shows.
        sync(&host.path(MOUNT_POINT))?;
        if check::is_sound(host) {
            remove_drafts(host)?;
        }
        Ok(writable)
    }

    /// Writes `content` to `name`, a path on the partition. When this returns the file is there after a power cut; before, there was none,
    /// an empty one, or the old one.
    ///
    /// # Errors
    /// If it cannot be written; nothing whole is under `name` then that was not before.
    pub fn put(&self, name: &str, content: &[u8]) -> Result<()> {
        let file = path(&self.host, name);
        let folder = file.parent().with_context(|| format!("{name} has no folder"))?;
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        self.run(&steps::put(name, &draft(name), file.exists()), content)
    }

    /// Puts the content of the file `old` under the name `new`, and takes `old` away.
    ///
    /// # Errors
    /// If it cannot be done; `old` is there then, or `new` is.
    pub fn replace(&self, old: &str, new: &str) -> Result<()> {
        let read =
            |name: &str| fs::read(path(&self.host, name)).with_context(|| format!("reading {MOUNT_POINT}/{name}"));
        let content = read(old)?;
        if content.is_empty() {
            bail!("{MOUNT_POINT}/{old} is empty");
        }
        let is_taken = path(&self.host, new).exists();
        let is_done = is_taken && read(new).is_ok_and(|there| there == content);
        let draft = (!is_done).then(|| draft(new));
        self.run(&steps::replace(old, new, draft.as_deref(), is_taken), &content)
    }

    /// Removes the file `name`; that it is not there is no error.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<()> {
        self.run(&[Step::Remove { name: name.to_owned() }, Step::Sync], &[])
    }

    fn run(&self, steps: &[Step], content: &[u8]) -> Result<()> {
        let place = |name: &str| path(&self.host, name);
        steps.iter().try_for_each(|step| match step {
            Step::Create { name } => create(&place(name), content),
            Step::Name { from, to } => name_it(&place(from), &place(to)),
            Step::Remove { name } => remove(&place(name)),
            Step::Sync => steps.iter().find_map(|step| folder(&place(named(step)?))).map_or(Ok(()), |it| sync(&it)),
        })
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

/// A name beside `name` that nothing has: what is found there is never written to.
fn draft(name: &str) -> String {
    let random = fastrand::u64(..);
    format!("{}/{random:016x}{DRAFT}", name.rsplit_once('/').map_or("", |(folder, _)| folder))
}

fn named(step: &Step) -> Option<&str> {
    match step {
        Step::Create { name } | Step::Remove { name } | Step::Name { to: name, .. } => Some(name),
        Step::Sync => None,
    }
}

fn folder(file: &Path) -> Option<PathBuf> {
    file.parent().filter(|folder| folder.is_dir()).map(Path::to_owned)
}

fn create(file: &Path, content: &[u8]) -> Result<()> {
    let open = OpenOptions::new().write(true).create_new(true).open(file);
    let mut open = open.with_context(|| format!("making {}", file.display()))?;
    let written = open.write_all(content).and_then(|()| open.sync_all());
    if written.is_err() {
        // It is ours alone. What remains is removed next time.
        let _ = fs::remove_file(file);
    }
    written.with_context(|| format!("writing {}", file.display()))
}

fn name_it(from: &Path, to: &Path) -> Result<()> {
    let renamed = renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE);
    if renamed.is_err() {
        let _ = fs::remove_file(from);
    }
    renamed.with_context(|| format!("naming {}", to.display()))
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", file.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn remove_drafts(host: &Host) -> Result<()> {
    for folder in [ENTRIES, KERNELS].map(|folder| path(host, folder)) {
        for file in fs::read_dir(folder).into_iter().flatten().flatten() {
            if file.file_name().to_string_lossy().ends_with(DRAFT) {
                remove(&file.path())?;
            }
        }
    }
    Ok(())
}

fn remount(host: &Host, flags: MountFlags) -> Result<()> {
    let point: PathBuf = host.path(MOUNT_POINT);
    match mount_remount(&point, FLAGS | flags, "") {
        Ok(()) => Ok(()),
        // A folder, as in a tree of files that tests make: there is nothing to remount.
        Err(Errno::INVAL | Errno::PERM) if host.path("/") != Path::new("/") => Ok(()),
        Err(Errno::INVAL) => bail!("the EFI system partition is not mounted"),
        Err(error) => Err(error.into()),
    }
}

/// All that was written is on the disk. FAT has no journal, and its syncfs(2) leaves the disk's own cache alone; fsync(2) of a folder empties
/// that, and leaves the inodes of renamed files alone (kernel: fs/fat/file.c, fs/fat/inode.c). So both.
fn sync(folder: &Path) -> Result<()> {
    let open = File::open(folder).with_context(|| format!("opening {}", folder.display()))?;
    syncfs(&open)
        .map_err(std::io::Error::from)
        .and_then(|()| open.sync_all())
        .with_context(|| format!("syncing {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::{super::EspLock, *};

    async fn writable() -> (tempfile::TempDir, Host, Writable) {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        fs::create_dir_all(host.path("/efi/loader/entries")).unwrap();
        let writable = Writable::open(&host, EspLock::default().take().await).unwrap();
        (tree, host, writable)
    }

    fn names(host: &Host) -> Vec<String> {
        let files = fs::read_dir(path(host, ENTRIES)).unwrap().flatten();
        let mut names: Vec<String> = files.map(|file| file.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn a_file_is_there_whole_or_not_at_all() {
        let (_tree, host, esp) = writable().await;
        esp.put("loader/entries/a.conf", b"one").unwrap();
        esp.put("loader/entries/a.conf", b"two").unwrap();
        assert_eq!(fs::read(path(&host, "loader/entries/a.conf")).unwrap(), b"two");
        assert_eq!(names(&host), ["a.conf"]);
        esp.remove("loader/entries/a.conf").unwrap();
        esp.remove("loader/entries/a.conf").unwrap();
        assert_eq!(names(&host), [""; 0]);
    }

    #[tokio::test]
    async fn an_entry_is_replaced_by_a_new_file() {
        use std::os::unix::fs::MetadataExt;
        for there in [None, Some(""), Some("another"), Some("entry")] {
            let (_tree, host, esp) = writable().await;
            let [old, new] = ["a+2-1.conf", "a.conf"].map(|name| format!("loader/entries/{name}"));
            fs::write(path(&host, &old), "entry").unwrap();
            let inode = fs::metadata(path(&host, &old)).unwrap().ino();
            // Held open, so that its number is not given to the new one.
            let _held = File::open(path(&host, &old)).unwrap();
            if let Some(there) = there {
                fs::write(path(&host, &new), there).unwrap();
            }
            esp.replace(&old, &new).unwrap();
            assert_eq!(names(&host), ["a.conf"], "{there:?}");
            assert_eq!(fs::read_to_string(path(&host, &new)).unwrap(), "entry", "{there:?}");
            assert_ne!(fs::metadata(path(&host, &new)).unwrap().ino(), inode, "it was renamed");
        }
    }

    #[tokio::test]
    async fn an_empty_entry_replaces_nothing() {
        let (_tree, host, esp) = writable().await;
        fs::write(path(&host, "loader/entries/a+2-1.conf"), "").unwrap();
        let error = format!("{:#}", esp.replace("loader/entries/a+2-1.conf", "loader/entries/a.conf").unwrap_err());
        assert!(error.contains("is empty"), "{error}");
        assert_eq!(names(&host), ["a+2-1.conf"]);
    }

    #[tokio::test]
    async fn what_a_cut_left_is_never_written_to_and_goes_next_time() {
        let (_tree, host, esp) = writable().await;
        let left = path(&host, "loader/entries/0123456789abcdef.part");
        fs::write(&left, "left").unwrap();
        assert!(create(&left, b"new").is_err());
        assert_eq!(fs::read_to_string(&left).unwrap(), "left");
        drop(esp);
        let _esp = Writable::open(&host, EspLock::default().take().await).unwrap();
        assert_eq!(names(&host), [""; 0]);
    }
}
