//! The named pipes of a command, in a folder of its own, and in which container it runs: for an agent that comes after this one.

use std::{
    fs::{self, DirBuilder},
    io::ErrorKind,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::net::unix::pipe::{OpenOptions, Receiver, Sender};

use crate::clients::{cri::Pipes, host::Host};

/// In memory, and for root alone.
pub const FOLDER: &str = "/run/ballast/exec";

/// Which container, in a command's folder.
const CONTAINER: &str = "container";

/// A command's folder. It is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Session {
    folder: PathBuf,
    id: String,
    container: String,
    stdin: Option<PathBuf>,
    stdout: PathBuf,
    stderr: Option<PathBuf>,
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            log::warn!("exec: removing {}: {error}", self.folder.display());
        }
    }
}

impl Session {
    /// A new one for a command in `container`.
    ///
    /// # Errors
    /// If the folder or a pipe cannot be made.
    pub(super) fn make(host: &Host, container: &str, with_stdin: bool, with_terminal: bool) -> Result<Self> {
        let id = format!("ballast-{:016x}", fastrand::u64(..));
        let folder = host.path(FOLDER).join(&id);
        let doing = || format!("making {}", folder.display());
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).with_context(doing)?;
        let pipe = |name: &str| folder.join(name);
        let session = Self {
            id,
            container: container.to_owned(),
            stdin: with_stdin.then(|| pipe("stdin")),
            stdout: pipe("stdout"),
            stderr: (!with_terminal).then(|| pipe("stderr")),
            folder: folder.clone(),
        };
        fs::write(folder.join(CONTAINER), container).with_context(doing)?;
        let all = [session.stdin.as_deref(), Some(&*session.stdout), session.stderr.as_deref()];
        for path in all.into_iter().flatten() {
            mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).with_context(doing)?;
        }
        Ok(session)
    }

    /// By what containerd knows the command.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Where it runs.
    pub(super) fn container(&self) -> &str {
        &self.container
    }

    /// Its pipes, for containerd.
    pub(super) fn pipes(&self) -> Pipes<'_> {
        Pipes { stdin: self.stdin.as_deref(), stdout: &self.stdout, stderr: self.stderr.as_deref() }
    }

    /// Our ends of them.
    ///
    /// # Errors
    /// If one cannot be opened.
    pub(super) fn open(&self) -> Result<Ends> {
        let doing = "opening the command's pipes";
        let mut ends = Ends { stdin: None, stdout: None, stderr: None, kept: Vec::new() };
        if let Some(path) = &self.stdin {
            ends.stdin = Some(writer(path).context(doing)?);
        }
        let mut reader = |path: &Path| {
            let reader = OpenOptions::new().open_receiver(path).context(doing)?;
            // Without anybody who writes there would be an end before the beginning.
            ends.kept.push(writer(path).context(doing)?);
            Ok::<_, anyhow::Error>(reader)
        };
        ends.stdout = Some(reader(&self.stdout)?);
        ends.stderr = self.stderr.as_deref().map(&mut reader).transpose()?;
        Ok(ends)
    }
}

/// Also to be read: nobody may have opened it yet.
fn writer(path: &Path) -> std::io::Result<Sender> {
    OpenOptions::new().read_write(true).open_sender(path)
}

/// Our ends of a command's pipes.
pub(super) struct Ends {
    pub(super) stdin: Option<Sender>,
    pub(super) stdout: Option<Receiver>,
    pub(super) stderr: Option<Receiver>,
    /// What keeps the others from ending before the command does.
    pub(super) kept: Vec<Sender>,
}

/// Those that an agent before this one left.
///
/// # Errors
/// If they cannot be read.
pub(super) fn left(host: &Host) -> Result<Vec<Session>> {
    let all = host.path(FOLDER);
    let doing = || format!("reading {}", all.display());
    let entries = match fs::read_dir(&all) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(doing)?,
    };
    let mut left = Vec::new();
    for entry in entries {
        let folder = entry.with_context(doing)?.path();
        let id = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // The agent may have ended before it was written: then containerd knows nothing of the command.
        let container = fs::read_to_string(folder.join(CONTAINER)).unwrap_or_default();
        left.push(Session { stdin: None, stdout: folder.join("stdout"), stderr: None, folder, id, container });
    }
    Ok(left)
}
