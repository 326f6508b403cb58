//! Grows /var: the partition by systemd-repart, then the file system by systemd-growfs, while it is in use.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, Result};
use tokio::{sync::Notify, task::JoinHandle};

use super::model::Step;
use crate::clients::exec;

/// Where systemd has its helper that is not for people.
const GROWFS: &str = "/usr/lib/systemd/systemd-growfs";

/// Growing writes little; a disk that takes longer than this is broken.
const DEADLINE: Duration = Duration::from_secs(300);

/// Grows beside the loop, once in a boot: what failed is told and left to the next boot.
#[derive(Debug)]
pub struct Grower {
    changed: Arc<Notify>,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    NotStarted,
    Working(JoinHandle<Result<()>>),
    Done { problem: Option<String> },
}

impl Grower {
    /// Has done nothing yet; the end of its work wakes `changed`.
    pub fn new(changed: Arc<Notify>) -> Self {
        Self { changed, progress: Progress::NotStarted }
    }

    /// Starts to do `step`, if nothing was started before.
    pub fn start(&mut self, step: Step) {
        if matches!(self.progress, Progress::NotStarted) {
            let changed = Arc::clone(&self.changed);
            self.progress = Progress::Working(tokio::spawn(async move {
                let result = grow(step).await;
                changed.notify_one();
                result
            }));
        }
    }

    /// What went wrong, in one sentence; None if nothing did, or nothing was done.
    pub async fn problem(&mut self) -> Option<String> {
        match &mut self.progress {
            Progress::NotStarted => None,
            Progress::Done { problem } => problem.clone(),
            Progress::Working(task) if !task.is_finished() => None,
            Progress::Working(task) => {
                let result = task.await.context("its task ended").and_then(|result| result);
                let problem = result.err().map(|error| format!("growing /var failed: {error:#}"));
                match &problem {
                    None => log::info!("/var takes the whole disk now"),
                    Some(problem) => log::error!("{problem}"),
                }
                self.progress = Progress::Done { problem: problem.clone() };
                problem
            }
        }
    }
}

async fn grow(step: Step) -> Result<()> {
    if let Step::GrowBoth { disk } = step {
        log::info!("growing the partition of /var on {disk}");
        exec::run("systemd-repart", ["--dry-run=no", &disk], DEADLINE).await?;
    }
    exec::run(GROWFS, ["/var"], DEADLINE).await?;
    Ok(())
}
