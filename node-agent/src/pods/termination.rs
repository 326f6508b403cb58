//! A container's termination message: what it writes into a file before it ends, else, if the pod says so, the end of its log. The rules and
//! limits are the kubelet's (kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure).

use std::{
    fs::{self, File, Permissions},
    io::{ErrorKind, Read, Seek, SeekFrom},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{model::Key, sandbox};
use crate::clients::host::Host;

/// The file of the run 3 is `3.message`, beside its log: it goes with that.
pub(super) const ENDING: &str = ".message";

/// What is read of the file.
const MAX_BYTES: u64 = 4096;

/// What is read of a log, and how many lines.
const LOG_BYTES: usize = 2048;
const LOG_LINES: usize = 80;

/// What stands before each line of a log is a time and two words.
const LOG_READ: u64 = 16 << 10;

/// Where a run of a container leaves its termination message, on the host.
pub(super) fn file(host: &Host, key: &Key, uid: &str, container: &str, attempt: u32) -> PathBuf {
    host.path(sandbox::log_folder_of(key, uid)).join(container).join(format!("{attempt}{ENDING}"))
}

/// Makes the file at `path`, empty, for whatever user the container has.
///
/// # Errors
/// If it cannot be made.
pub(super) fn prepare(path: &Path) -> Result<()> {
    let doing = || format!("making {}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(doing)?;
    }
    // Of an interrupted start there may be one.
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).with_context(doing),
        Ok(()) | Err(_) => {}
    }
    File::create_new(path).with_context(doing)?;
    fs::set_permissions(path, Permissions::from_mode(0o666)).with_context(doing)
}

/// What is in the file at `path`; if that is nothing and `falls_back`, the end of the log beside it. Empty if there is neither.
pub(super) fn read(path: &Path, falls_back: bool) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes));
    if let Err(error) = read
        && error.kind() != ErrorKind::NotFound
    {
        log::warn!("reading {}: {error}", path.display());
    }
    let word = String::from_utf8_lossy(&bytes).trim().to_owned();
    if !word.is_empty() || !falls_back {
        return word;
    }
    let log = path.with_extension("log");
    end_of_log(&log).unwrap_or_else(|error| {
        if error.kind() != ErrorKind::NotFound {
            log::warn!("reading {}: {error}", log.display());
        }
        String::new()
    })
}

/// The last lines of a log, as the container wrote them.
fn end_of_log(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let from = file.metadata()?.len().saturating_sub(LOG_READ);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(LOG_READ).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // The first line may have no beginning.
    let lines = text.lines().skip(usize::from(from > 0)).filter_map(|line| line.splitn(4, ' ').nth(3));
    let lines: Vec<&str> = lines.collect();
    let last = lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default().join("\n");
    let start = last.char_indices().map(|(at, _)| at).find(|at| last.len() - at <= LOG_BYTES);
    Ok(start.and_then(|start| last.get(start..)).unwrap_or_default().trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_comes_before_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c").join("3.message");
        prepare(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
        assert_eq!((read(&path, false), read(&path, true)), (String::new(), String::new()));
        let line = |word: &str| format!("2026-11-30T10:00:00.000000000Z stderr F {word}\n");
        fs::write(path.with_extension("log"), line("first") + &line("out of  space")).unwrap();
        assert_eq!((read(&path, false).as_str(), read(&path, true).as_str()), ("", "first\nout of  space"));
        fs::write(&path, format!(" a word {}", "x".repeat(9000))).unwrap();
        let word = read(&path, true);
        assert!(word.starts_with("a word x") && word.len() == 4095, "{}", word.len());
        prepare(&path).unwrap();
        assert_eq!(read(&path, false), "");
    }

    #[test]
    fn of_a_long_log_the_end_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.message");
        let line =
            |number: u32| format!("2026-11-30T10:00:00.000000000Z stdout F line {number:05} {}\n", "ä".repeat(9));
        fs::write(path.with_extension("log"), (0..9000).map(line).collect::<String>()).unwrap();
        let word = read(&path, true);
        assert!(word.ends_with(&format!("line 08999 {}", "ä".repeat(9))), "{word}");
        assert!(word.len() <= LOG_BYTES && word.lines().count() > 50, "{}", word.len());
        let short = |number: u32| format!("2026-11-30T10:00:00.000000000Z stdout F {number}\n");
        fs::write(path.with_extension("log"), (0..500).map(short).collect::<String>()).unwrap();
        assert_eq!(
            (read(&path, true).lines().count(), read(&path, true).lines().next().unwrap().to_owned()),
            (80, "420".to_owned())
        );
    }
}
