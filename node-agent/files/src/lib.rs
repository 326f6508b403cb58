//! Small files that must survive a power cut: the old content or the new one, never half of it.
#![expect(clippy::disallowed_methods, reason = "it waits for the disk: who calls it does so on a thread of its own")]

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

/// Nothing that is kept this way is longer.
const MAX_BYTES: u64 = 1 << 20;

/// So many damaged files are kept beside each; the last one is replaced then.
const MAX_DAMAGED: u32 = 9;

/// What is in `file`; None if it is not there.
///
/// # Errors
/// If it cannot be read, or is longer than anything that is kept this way.
pub fn read(file: &Path) -> Result<Option<Vec<u8>>> {
    let doing = || format!("reading {}", file.display());
    match fs::metadata(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        found => {
            let bytes = found.with_context(doing)?.len();
            anyhow::ensure!(bytes <= MAX_BYTES, "{} has {bytes} bytes, that is not ours", file.display());
        }
    }
    fs::read(file).map(Some).with_context(doing)
}

/// Renames `file`, which is damaged, to `NAME.damaged-N`, whatever it is, and returns that name. It is so after a power cut.
///
/// # Errors
/// If it cannot be renamed.
pub fn set_aside(file: &Path) -> Result<PathBuf> {
    let doing = || format!("setting {} aside", file.display());
    let place = |number: u32| PathBuf::from(format!("{}.damaged-{number}", file.display()));
    let is_free = |place: &PathBuf| place.symlink_metadata().is_err();
    let to = (1..=MAX_DAMAGED).map(place).find(is_free).unwrap_or_else(|| place(MAX_DAMAGED));
    if !is_free(&to) {
        let removed = if to.is_dir() { fs::remove_dir_all(&to) } else { fs::remove_file(&to) };
        removed.with_context(doing)?;
    }
    rename(file, &to)?;
    Ok(to)
}

/// Writes `content` to `file`, readable for root alone, and returns when it will be there after a power cut.
///
/// # Errors
/// If it cannot be written; the old content is there then.
pub fn write(file: &Path, content: &[u8]) -> Result<()> {
    let doing = || format!("writing {}", file.display());
    let folder = file.parent().with_context(doing)?;
    fs::create_dir_all(folder).with_context(doing)?;
    let mut name = file.file_name().with_context(doing)?.to_owned();
    name.push(".part");
    let part = folder.join(name);
    // Nothing of ours is a folder where a file belongs.
    for place in [file, &*part] {
        if place.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            set_aside(place)?;
        }
    }
    let mut open =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part).with_context(doing)?;
    let written = open.write_all(content).and_then(|()| open.sync_all()).and_then(|()| fs::rename(&part, file));
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written.and_then(|()| keep_entry(file)).with_context(doing)
}

/// Puts `content` at `file`, with these permissions whatever the umask is. Who reads it at any time finds the old content or the new one. It is
/// made at `part`, on the same file system. Nothing is synced: for a tmpfs, of which a power cut leaves nothing.
///
/// # Errors
/// If it cannot be written; the old content is there then.
pub fn replace(file: &Path, part: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    put(file, part, |part| {
        let mut open = OpenOptions::new().write(true).create_new(true).mode(mode).open(part)?;
        open.write_all(content)?;
        open.set_permissions(Permissions::from_mode(mode))
    })
}

/// As [`replace`], a symbolic link to `target`.
///
/// # Errors
/// If it cannot be made; what was there is there then.
pub fn replace_link(file: &Path, part: &Path, target: &Path) -> io::Result<()> {
    put(file, part, |part| symlink(target, part))
}

fn put(file: &Path, part: &Path, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::remove_file(part) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    make(part)?;
    fs::rename(part, file)
}

/// Makes `from` the file `to` of the same folder, and returns when it will be so after a power cut. That takes no room on the disk.
///
/// # Errors
/// If it cannot be renamed.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    let doing = || format!("renaming {} to {}", from.display(), to.display());
    fs::rename(from, to).and_then(|()| keep_entry(to)).with_context(doing)
}

/// Removes `file`, if it is there, and returns when it will be gone after a power cut.
///
/// # Errors
/// If it cannot be removed.
pub fn remove(file: &Path) -> Result<()> {
    let doing = || format!("removing {}", file.display());
    match fs::remove_file(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| keep_entry(file)).with_context(doing),
    }
}

/// Whatever became of the name `file` in its folder, a power cut does not undo it.
fn keep_entry(file: &Path) -> io::Result<()> {
    let folder = file.parent().ok_or(ErrorKind::InvalidInput)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("new/state.json");
        assert_eq!(read(&file).unwrap(), None);
        write(&file, b"one").unwrap();
        write(&file, b"two").unwrap();
        assert_eq!(read(&file).unwrap().unwrap(), b"two");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
        remove(&file).unwrap();
        remove(&file).unwrap();
        assert_eq!(read(&file).unwrap(), None);
    }

    #[test]
    fn what_others_read_is_replaced_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let (file, part) = (folder.path().join("new/a"), folder.path().join("part"));
        // A part that a crash left, and that anybody could read.
        fs::write(&part, "half").unwrap();
        for (mode, content) in [(0o600, "one"), (0o644, "two")] {
            replace(&file, &part, mode, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&file).unwrap(), content);
            assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, mode);
        }
        replace_link(&file, &part, Path::new("/x")).unwrap();
        assert_eq!(fs::read_link(&file).unwrap(), Path::new("/x"));
        assert!(!part.exists());
        fs::create_dir(&part).unwrap();
        assert!(replace(&file, &part, 0o600, b"").is_err());
        assert_eq!(fs::read_link(&file).unwrap(), Path::new("/x"));
    }

    #[test]
    fn what_is_damaged_is_kept_beside_it_and_a_folder_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.json");
        for number in 1..=12 {
            fs::write(&file, number.to_string()).unwrap();
            set_aside(&file).unwrap();
        }
        let kept =
            |number: u32| fs::read_to_string(folder.path().join(format!("state.json.damaged-{number}"))).unwrap();
        assert_eq!((kept(1), kept(8), kept(9)), ("1".to_owned(), "8".to_owned(), "12".to_owned()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 9);
        for place in ["other.json", "other.json.part"] {
            fs::create_dir(folder.path().join(place)).unwrap();
        }
        let file = folder.path().join("other.json");
        write(&file, b"one").unwrap();
        assert_eq!(read(&file).unwrap().unwrap(), b"one");
        assert!(folder.path().join("other.json.damaged-1").is_dir());
    }
}
