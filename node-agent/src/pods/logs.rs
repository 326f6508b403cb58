//! The log files of containers: the runtime writes them and never removes one.

use std::{fs, io::ErrorKind, path::Path};

use anyhow::{Context, Result};

/// Removes the logs in `folder`, one container's, that are older than the run before `attempt`.
///
/// # Errors
/// If the folder cannot be read, or a log not removed.
pub(super) fn prune(folder: &Path, attempt: u32) -> Result<()> {
    let doing = || format!("removing old logs in {}", folder.display());
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        read => read.with_context(doing)?,
    };
    for entry in entries {
        let path = entry.with_context(doing)?.path();
        let number: Option<u32> = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".log")?.parse().ok());
        if number.is_some_and(|number| number + 1 < attempt) {
            fs::remove_file(&path).with_context(doing)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_of_the_run_before_stays() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["0.log", "8.log", "9.log", "notes"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        prune(folder.path(), 10).unwrap();
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["9.log", "notes"]);
        prune(&folder.path().join("none"), 1).unwrap();
    }
}
