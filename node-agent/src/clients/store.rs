//! Small files that must survive a power cut: the old content or the new one, never half of it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, Result};

/// Nothing that is kept this way is longer.
const MAX_BYTES: u64 = 1 << 20;

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
    let mut open =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part).with_context(doing)?;
    let written = open.write_all(content).and_then(|()| open.sync_all()).and_then(|()| fs::rename(&part, file));
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written.and_then(|()| keep_entry(file)).with_context(doing)
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
    use std::os::unix::fs::PermissionsExt;

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
}
