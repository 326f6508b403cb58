//! Does the jobs of the plan: beside the loop, one at a time for each pod. The next pass observes the results.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use anyhow::Result;
use tokio::{
    sync::{Mutex, Notify},
    task::{AbortHandle, JoinHandle, JoinSet},
};

use self::worker::Worker;
use super::{
    desired::Desired,
    disk::{self, controller::DiskController},
    files,
    logs::{self, LogLimits},
    model::{Failure, Key, Observed, Pod, Resolver},
    plan::{Job, Probed},
    probes::{
        act::{Prober, Target},
        model::Verdict,
    },
    volumes,
};
use crate::clients::{cri::Cri, host::Host};

mod facts;
mod hooks;
mod worker;

pub(super) use self::hooks::of_node;

/// Jobs at work, and what became of the last one for each pod.
#[derive(Debug)]
pub struct Jobs {
    host: Host,
    changed: Arc<Notify>,
    tasks: JoinSet<(Key, String, Result<()>)>,
    busy: BTreeMap<Key, Running>,
    failures: BTreeMap<Key, Failure>,
    cleaning: Option<JoinHandle<()>>,
    /// Two pods may need the same archive at once; the second finds it imported.
    importing: Arc<Mutex<()>>,
    pids_limit: Option<u32>,
    rotating: Option<JoinHandle<()>>,
    /// Which name servers running pods were given last, and by what.
    following: Option<(Resolver, JoinHandle<()>)>,
    disk: DiskController,
    prober: Prober,
}

/// A job at work.
#[derive(Debug)]
struct Running {
    uid: String,
    task: AbortHandle,
    /// Whether it brings the pod up; what takes one down is always let finish.
    is_start: bool,
}

impl Jobs {
    /// No jobs yet. The end of a job wakes `changed`.
    pub fn new(host: Host, changed: Arc<Notify>) -> Self {
        Self {
            disk: DiskController::new(host.clone(), Arc::clone(&changed)),
            prober: Prober::new(Arc::clone(&changed)),
            host,
            changed,
            tasks: JoinSet::new(),
            busy: BTreeMap::new(),
            failures: BTreeMap::new(),
            cleaning: None,
            importing: Arc::default(),
            pids_limit: None,
            rotating: None,
            following: None,
        }
    }

    /// How many processes and threads a container may have that is started from now on.
    pub fn limit_pids(&mut self, limit: Option<u32>) {
        self.pids_limit = limit;
    }

    /// Asks the probes of `probed`, as the pods in `desired` say, and of no other containers.
    pub fn probe(&mut self, probed: &[Probed], desired: &Desired, cri: &Cri) {
        let now = SystemTime::now();
        let targets: Vec<Target<'_>> = probed
            .iter()
            .filter_map(|one| {
                let container = desired.pods.get(&one.key)?.spec.container(&one.container)?;
                Some(Target {
                    key: &one.key,
                    container: &one.container,
                    id: &one.id,
                    probes: &container.probes,
                    address: &one.address,
                    ran: one.started_at.and_then(|at| now.duration_since(at).ok()).unwrap_or_default(),
                })
            })
            .collect();
        self.prober.keep(&targets, cri);
    }

    /// Keeps room on /var.
    ///
    /// # Errors
    /// If it cannot be written down which pods were ended; they are all the same.
    pub fn keep_room(&mut self, steps: &disk::model::Steps, cri: &Cri) -> Result<()> {
        self.disk.act(steps, cri, SystemTime::now())
    }

    /// What was done for it.
    pub fn disk_use(&self) -> disk::model::DiskUse {
        self.disk.disk_use()
    }

    /// Starts a job.
    pub fn start(&mut self, job: Job, cri: &Cri) {
        let is_start = job.is_start();
        let Job { key, uid, steps } = job;
        let worker = Worker {
            host: self.host.clone(),
            cri: cri.clone(),
            key: key.clone(),
            importing: Arc::clone(&self.importing),
            pids_limit: self.pids_limit,
        };
        let changed = Arc::clone(&self.changed);
        let done = (key.clone(), uid.clone());
        let task = self.tasks.spawn(async move {
            let result = worker.work(steps).await;
            changed.notify_one();
            (done.0, done.1, result)
        });
        self.busy.insert(key, Running { uid, task, is_start });
    }

    /// Gives up the jobs that bring up versions of pods that `is_wanted` denies: a fetch that takes for ever must not
    /// keep the next version waiting.
    pub fn give_up(&mut self, is_wanted: impl Fn(&Key, &str) -> bool) {
        for (key, job) in &self.busy {
            if job.is_start && !is_wanted(key, &job.uid) {
                job.task.abort();
                self.changed.notify_one();
            }
        }
    }

    /// Removes what is left of the versions `uids` of pods. That may be much, so the loop does not wait for it.
    pub fn clean(&mut self, uids: Vec<String>) {
        if uids.is_empty() || self.cleaning.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let host = self.host.clone();
        self.cleaning = Some(tokio::task::spawn_blocking(move || {
            for uid in uids {
                if let Err(error) = files::remove(&host, &uid) {
                    log::warn!("{error:#}");
                }
            }
        }));
    }

    /// Begins logs anew that have grown to `limits`. That waits for the runtime, so the loop does not wait for it.
    pub fn rotate_logs(&mut self, observed: &Observed, cri: &Cri, limits: LogLimits) {
        if self.rotating.as_ref().is_some_and(|task| !task.is_finished()) {
            return;
        }
        let logs = logs::written(&self.host, observed);
        if logs.is_empty() {
            return;
        }
        let (host, cri) = (self.host.clone(), cri.clone());
        self.rotating = Some(tokio::spawn(async move {
            if let Err(error) = logs::rotate_due(&host, &cri, logs, limits).await {
                log::warn!("{error:#}");
            }
        }));
    }

    /// Has the pods that run ask the name servers of `observed`, if they are others than before: a network that comes late, or another one.
    pub fn follow_resolver(&mut self, desired: &Desired, observed: &Observed) {
        let Some(resolver) = &observed.resolver else { return };
        // One after the other: the last one to write has the newest.
        if self.following.as_ref().is_some_and(|(followed, task)| !task.is_finished() || followed == resolver) {
            return;
        }
        let (host, servers) = (self.host.clone(), resolver.clone());
        let pods: Vec<Pod> = desired.pods.values().cloned().collect();
        let changed = Arc::clone(&self.changed);
        let task = tokio::task::spawn_blocking(move || {
            for error in volumes::files::update_resolv_confs(&host, &pods, &servers) {
                log::warn!("{error:#}");
            }
            changed.notify_one();
        });
        self.following = Some((resolver.clone(), task));
    }

    /// Takes note of the jobs that ended.
    pub(super) fn collect(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Ok((key, uid, result)) = ended {
                self.note(key, uid, result);
            }
        }
        self.busy.retain(|_, job| !job.task.is_finished());
    }

    fn note(&mut self, key: Key, uid: String, result: Result<()>) {
        let of_start = self.busy.remove(&key).is_some_and(|job| job.is_start);
        match result {
            Ok(()) => {
                self.failures.remove(&key);
            }
            Err(error) => {
                let earlier =
                    self.failures.get(&key).filter(|earlier| earlier.uid == uid && earlier.of_start == of_start);
                let count = earlier.map_or(0, |earlier| earlier.count).saturating_add(1);
                log::error!("pod {key}: {error:#}");
                let failure = Failure { uid, of_start, at: SystemTime::now(), count, message: format!("{error:#}") };
                self.failures.insert(key, failure);
            }
        }
    }

    pub(super) fn disk(&mut self) -> &mut DiskController {
        &mut self.disk
    }

    pub(super) fn busy(&self) -> BTreeMap<Key, String> {
        self.busy.iter().map(|(key, job)| (key.clone(), job.uid.clone())).collect()
    }

    pub(super) fn verdicts(&self) -> BTreeMap<String, Verdict> {
        self.prober.verdicts()
    }

    pub(super) fn failures(&self) -> &BTreeMap<Key, Failure> {
        &self.failures
    }
}
