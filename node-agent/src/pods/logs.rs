//! Logs of containers that run: one that has grown large is begun anew, and the oldest go. The runtime writes logs and keeps no watch over
//! their size; the files are called as a collector of logs knows them, `ATTEMPT.log`, with `.1`, `.2`, … behind for older ones.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{
    model::{Observed, State},
    sandbox,
};
use crate::clients::{cri::Cri, host::Host};

/// What the settings say of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLimits {
    /// From how many bytes on one is begun anew.
    pub max_bytes: u64,
    /// How many there are of a run, the one that is written among them.
    pub max_files: u32,
}

/// The log of a container that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Log {
    container: String,
    file: PathBuf,
}

/// The logs of the containers that run.
pub(super) fn written(host: &Host, observed: &Observed) -> Vec<Log> {
    let mut logs = Vec::new();
    for sandbox in &observed.sandboxes {
        let folder = host.path(sandbox::log_folder_of(&sandbox.key, &sandbox.uid));
        for one in sandbox.containers.iter().filter(|one| one.state == State::Running) {
            let file = folder.join(&one.name).join(format!("{}.log", one.attempt));
            logs.push(Log { container: one.id.clone(), file });
        }
    }
    logs
}

/// Begins those of `logs` anew that have grown to `limits` or are not there, as after a crash between the two steps; removes the oldest.
///
/// # Errors
/// If a file cannot be renamed, or the runtime does not open a new one; the others are begun anew all the same.
pub(super) async fn rotate_due(host: &Host, cri: &Cri, mut logs: Vec<Log>, limits: LogLimits) -> Result<()> {
    let due = move |_: &Host| {
        logs.retain(|log| is_due(&log.file, limits));
        Ok(logs)
    };
    let mut done = Ok(());
    for log in host.read("looking at the logs of containers", due).await? {
        done = done.and(rotate(host, cri, log, limits).await);
    }
    done
}

fn is_due(file: &Path, limits: LogLimits) -> bool {
    match fs::metadata(file) {
        Ok(metadata) => metadata.len() >= limits.max_bytes,
        Err(_) => older(file, 1).exists(),
    }
}

async fn rotate(host: &Host, cri: &Cri, log: Log, limits: LogLimits) -> Result<()> {
    let Log { container, file } = log;
    let doing = format!("beginning {} anew", file.display());
    host.change(&doing, move |_| Ok(shift(&file, limits.max_files)?)).await.with_context(|| doing.clone())?;
    cri.reopen_log(&container).await.with_context(|| doing)
}

/// Each gets the next number; the last, whose number is not below `max_files` then, goes. Those that were more than that at other
/// times go with it.
fn shift(file: &Path, max_files: u32) -> std::io::Result<()> {
    if !file.exists() {
        return Ok(());
    }
    let mut last = max_files.saturating_sub(1).max(1);
    while older(file, last).exists() {
        ignore_missing(fs::remove_file(older(file, last)))?;
        last += 1;
    }
    for number in (1..max_files.saturating_sub(1)).rev() {
        ignore_missing(fs::rename(older(file, number), older(file, number + 1)))?;
    }
    fs::rename(file, older(file, 1))
}

fn older(file: &Path, number: u32) -> PathBuf {
    PathBuf::from(format!("{}.{number}", file.display()))
}

fn ignore_missing(done: std::io::Result<()>) -> std::io::Result<()> {
    match done {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_goes_and_the_others_move_up() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("0.log");
        let there = || {
            let entries = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
            let mut all: Vec<String> = entries
                .map(|path| {
                    let name = path.file_name().unwrap().to_string_lossy().into_owned();
                    format!("{name}={}", fs::read_to_string(path).unwrap())
                })
                .collect();
            all.sort();
            all
        };
        for text in ["a", "b", "c", "d"] {
            fs::write(&file, text).unwrap();
            shift(&file, 3).unwrap();
        }
        assert_eq!(there(), ["0.log.1=d", "0.log.2=c"]);
        // Nothing to begin anew: as after a crash.
        shift(&file, 3).unwrap();
        assert_eq!(there(), ["0.log.1=d", "0.log.2=c"]);
        fs::write(&file, "e").unwrap();
        shift(&file, 2).unwrap();
        assert_eq!(there(), ["0.log.1=e"]);
    }
}
