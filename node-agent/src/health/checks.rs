//! The operator's health checks: which there are, and the results of running them, beside the loop.

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::{sync::Notify, task::JoinHandle};

use super::model::{CHECKS, Check, CheckState};
use crate::clients::{exec, host::Host};

/// A check that needs longer does not say whether the node is healthy now.
const DEADLINE: Duration = Duration::from_secs(60);

const SYSTEMD_RUN: &str = "/usr/bin/systemd-run";

/// A check that fails at once is not run in a tight circle.
const AGAIN: Duration = Duration::from_secs(5);

/// What was run in this boot. All of it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Checks {
    changed: Arc<Notify>,
    runs: BTreeMap<String, Run>,
}

#[derive(Debug)]
struct Run {
    check: Check,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    Working(JoinHandle<Result<()>>),
    Passed,
    Failed { reason: String, at: Instant },
}

impl Checks {
    /// Nothing was run yet; the end of each run wakes `changed`.
    pub(super) fn new(changed: Arc<Notify>) -> Self {
        Self { changed, runs: BTreeMap::new() }
    }

    /// The checks in the folder, and their results so far.
    ///
    /// # Errors
    /// If the folder is there and cannot be read.
    pub(super) async fn observe(&mut self, host: &Host) -> Result<Vec<Check>> {
        let mut checks = host.read("looking for health checks", |host| list(&host.path(CHECKS))).await?;
        self.runs.retain(|name, run| {
            let is_kept = checks.iter().any(|check| check.name == *name && check.modified == run.check.modified);
            if let (false, Progress::Working(task)) = (is_kept, &run.progress) {
                task.abort();
            }
            is_kept
        });
        for check in &mut checks {
            if let (CheckState::New, Some(run)) = (&check.state, self.runs.get_mut(&check.name)) {
                check.state = run.progress.state().await;
            }
        }
        Ok(checks)
    }

    /// Runs `check`.
    pub(super) fn start(&mut self, check: &Check, host: &Host) {
        let (program, changed) = (host.path(CHECKS).join(&check.name), Arc::clone(&self.changed));
        // In a tree of files that tests make it is not there.
        let systemd_run = Some(host.path(SYSTEMD_RUN)).filter(|path| path.exists());
        let task = tokio::spawn(async move {
            let result = match systemd_run {
                Some(systemd_run) => exec::check_as_unit(&systemd_run, &program, DEADLINE).await,
                None => exec::check(&program, DEADLINE).await,
            };
            changed.notify_one();
            result
        });
        self.runs.insert(check.name.clone(), Run { check: check.clone(), progress: Progress::Working(task) });
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        for run in self.runs.values() {
            if let Progress::Working(task) = &run.progress {
                task.abort();
            }
        }
    }
}

impl Progress {
    async fn state(&mut self) -> CheckState {
        if let Self::Working(task) = self {
            if !task.is_finished() {
                return CheckState::Running;
            }
            let result = task.await.context("its task ended").and_then(|result| result);
            *self = match result {
                Ok(()) => Self::Passed,
                Err(error) => Self::Failed { reason: format!("{error:#}"), at: Instant::now() },
            };
        }
        match self {
            Self::Working(_) => CheckState::Running,
            Self::Passed => CheckState::Passed,
            Self::Failed { reason, at } => CheckState::Failed { reason: reason.clone(), is_due: at.elapsed() >= AGAIN },
        }
    }
}

/// The files in `folder`, by name; hidden ones are an editor's, folders are nobody's.
fn list(folder: &Path) -> Result<Vec<Check>> {
    let doing = || format!("reading {}", folder.display());
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(doing)?,
    };
    let mut checks = Vec::new();
    for entry in entries {
        let entry = entry.with_context(doing)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Follows links. What is gone by now is not there.
        let Ok(metadata) = fs::metadata(entry.path()) else { continue };
        if name.starts_with('.') || !metadata.is_file() {
            continue;
        }
        let is_executable = metadata.permissions().mode() & 0o111 != 0;
        let state = if is_executable { CheckState::New } else { CheckState::NotExecutable };
        checks.push(Check { name, modified: metadata.modified().with_context(doing)?, state });
    }
    checks.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(checks)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a child of the agent it would have the agent's few capabilities.
    #[tokio::test]
    async fn a_check_runs_as_a_unit_of_its_own() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        let write = |path: &str, text: &str| {
            crate::clients::exec::script(&host.path(path), text);
        };
        let record = host.path("/arguments").display().to_string();
        write(
            SYSTEMD_RUN,
            &format!("echo \"$*\" >{record}; while [ \"$1\" != -- ]; do shift; done; shift; exec \"$@\""),
        );
        write(&format!("{CHECKS}/db"), "echo no leader; exit 3");
        let changed = Arc::new(Notify::new());
        let mut checks = Checks::new(Arc::clone(&changed));
        let found = checks.observe(&host).await.unwrap();
        checks.start(&found[0], &host);
        tokio::time::timeout(DEADLINE, changed.notified()).await.unwrap();
        let state = loop {
            let state = checks.observe(&host).await.unwrap().remove(0).state;
            if state != CheckState::Running {
                break state;
            }
        };
        let CheckState::Failed { reason, .. } = state else { panic!("{state:?}") };
        assert_eq!(reason, "db failed (exit status: 3): no leader");
        let arguments = fs::read_to_string(&record).unwrap();
        for expected in ["--wait ", "--pipe ", "--collect ", "RuntimeMaxSec=61 ", "--setenv=PATH=/", "health.d/db\n"] {
            assert!(arguments.contains(expected), "{expected} in {arguments}");
        }
    }
}
