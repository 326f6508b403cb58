//! Grows /var: the partition by systemd-repart, then the file system by systemd-growfs, while it is in use. Gives the partitions identities
//! of their own.

use std::{fs, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    sync::Notify,
    task::{JoinHandle, spawn_blocking},
};

use super::{model::Step, observe};
use crate::clients::{disk::Disk, exec, gpt, host::Host};

/// Where the kernel gives random UUIDs.
const RANDOM_UUID: &str = "/proc/sys/kernel/random/uuid";

/// Where systemd has its helper that is not for people.
const GROWFS: &str = "/usr/lib/systemd/systemd-growfs";

/// Growing writes little; a disk that takes longer than this is broken.
const DEADLINE: Duration = Duration::from_secs(300);

/// Works beside the loop, once in a boot: what failed is reported and left to the next boot.
#[derive(Debug)]
pub struct Resizer {
    host: Host,
    changed: Arc<Notify>,
    progress: Progress,
}

#[derive(Debug)]
enum Progress {
    NotStarted,
    Working(JoinHandle<Result<()>>),
    Done { problem: Option<String> },
}

impl Resizer {
    /// Has done nothing yet; the end of its work wakes `changed`.
    pub fn new(host: Host, changed: Arc<Notify>) -> Self {
        Self { host, changed, progress: Progress::NotStarted }
    }

    /// Starts to do `steps`, if there are any and nothing was started before.
    pub fn start(&mut self, steps: &[Step]) {
        if matches!(self.progress, Progress::NotStarted) && !steps.is_empty() {
            let (changed, host, steps) = (Arc::clone(&self.changed), self.host.clone(), steps.to_owned());
            self.progress = Progress::Working(tokio::spawn(async move {
                let result = work(&host, &steps).await;
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
                let problem = result.err().map(|error| format!("{error:#}"));
                problem.iter().for_each(|problem| log::error!("{problem}"));
                self.progress = Progress::Done { problem: problem.clone() };
                problem
            }
        }
    }
}

async fn work(host: &Host, steps: &[Step]) -> Result<()> {
    for step in steps {
        match step {
            Step::GrowPartition { disk } => {
                log::info!("growing the partition of /var on {disk}");
                let grown = exec::run("systemd-repart", ["--dry-run=no", disk], DEADLINE).await;
                grown.context("growing /var failed")?;
            }
            Step::GrowFileSystem => {
                exec::run(GROWFS, ["/var"], DEADLINE).await.context("growing /var failed")?;
                log::info!("/var takes the whole disk now");
            }
            Step::Identify => {
                let host = host.clone();
                let done = spawn_blocking(move || identify(&host)).await.context("its task ended");
                done.and_then(|done| done).context("giving the partitions identities of their own failed")?;
                log::info!("the partitions have identities of their own now");
            }
        }
    }
    Ok(())
}

/// In one writing of the table. The kernel goes on with the old ones until the next boot: nothing here goes by them.
fn identify(host: &Host) -> Result<()> {
    let disk = Disk::below(host, "/sysroot")?.context("/sysroot is on no disk")?;
    let random = || {
        let text = fs::read_to_string(host.path(RANDOM_UUID)).with_context(|| format!("reading {RANDOM_UUID}"))?;
        gpt::guid(&text)
    };
    let table = observe::table(host, &disk)?.renewed(&observe::image_ids()?, random)?;
    table.write(&host.path(Path::new(&disk.device)))
}
