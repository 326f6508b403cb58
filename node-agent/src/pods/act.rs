//! Does the jobs of the plan: beside the loop, one at a time for each pod. The next pass observes the results.

use std::{collections::BTreeMap, sync::Arc, time::SystemTime};

use anyhow::{Context, Result, anyhow};
use tokio::{
    sync::{Mutex, Notify},
    task::{AbortHandle, JoinHandle, JoinSet},
};

use super::{
    disk::{self, controller::DiskController},
    files,
    logs::{self, LogLimits},
    model::{Failure, Key, LATE, Observed, Pod},
    plan::{Image, Job, Step},
    preloaded, sandbox, volumes,
};
use crate::clients::{cri::Cri, host::Host, identity, network, proc};

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
    disk: DiskController,
}

/// A job at work.
#[derive(Debug)]
struct Running {
    uid: String,
    task: AbortHandle,
    /// Whether it brings the pod up; what takes one down is always let finish.
    is_start: bool,
}

/// What a job works with.
struct Worker {
    host: Host,
    cri: Cri,
    key: Key,
    importing: Arc<Mutex<()>>,
    pids_limit: Option<u32>,
}

impl Jobs {
    /// No jobs yet. The end of a job wakes `changed`.
    pub fn new(host: Host, changed: Arc<Notify>) -> Self {
        Self {
            disk: DiskController::new(host.clone(), Arc::clone(&changed)),
            host,
            changed,
            tasks: JoinSet::new(),
            busy: BTreeMap::new(),
            failures: BTreeMap::new(),
            cleaning: None,
            importing: Arc::default(),
            pids_limit: None,
            rotating: None,
        }
    }

    /// How many processes and threads a container may have that is started from now on.
    pub fn limit_pids(&mut self, limit: Option<u32>) {
        self.pids_limit = limit;
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

    pub(super) fn failures(&self) -> &BTreeMap<Key, Failure> {
        &self.failures
    }
}

impl Worker {
    async fn work(&self, steps: Vec<Step>) -> Result<()> {
        let mut result = Ok(());
        for step in steps {
            let goes_on = matches!(step, Step::StartContainer { .. });
            match self.step(step).await {
                Ok(()) => {}
                Err(error) if goes_on => result = result.and(Err(error)),
                Err(error) => return Err(error),
            }
        }
        result
    }

    async fn step(&self, step: Step) -> Result<()> {
        let cri = &self.cri;
        match step {
            Step::StopContainers { ids, grace } => {
                log::info!("pod {}: stopping", self.key);
                let mut stops = JoinSet::new();
                for id in ids {
                    let cri = cri.clone();
                    stops.spawn(async move { cri.stop_container(&id, grace).await });
                }
                while let Some(stop) = stops.join_next().await {
                    stop.context("stopping a container")??;
                }
                Ok(())
            }
            Step::StopSandbox { id } => cri.stop_sandbox(&id).await.context("stopping the sandbox"),
            Step::RemoveSandbox { id } => cri.remove_sandbox(&id).await.context("removing the sandbox"),
            Step::RemoveVolumes { uid } => self.remove_volumes(uid).await,
            Step::RemoveContainer { id } => cri.remove_container(&id).await.context("removing a container"),
            Step::ProvideImage(image) => self.provide(&image).await,
            Step::RunSandbox { pod, attempt, resolver } => {
                log::info!("pod {}: starting, from {}", self.key, pod.source);
                self.volumes(&pod).await?;
                cri.run_sandbox(&sandbox::spec(&pod, attempt, resolver)).await.context("starting the sandbox")?;
                Ok(())
            }
            Step::StartContainer {
                pod,
                name,
                sandbox_id,
                sandbox_attempt,
                attempt,
                crashes,
                leftover,
                known_as,
                image,
            } => {
                if let Some(id) = leftover {
                    cri.remove_container(&id).await.context("removing what is left of an earlier start")?;
                }
                if let Some(image) = image {
                    self.provide(&image).await.with_context(|| format!("container {name}"))?;
                }
                let boot = identity::boot_id(&self.host)?;
                let late = self.late(&pod, &name, &sandbox_id).await?;
                let run = sandbox::Run { attempt, crashes, boot: &boot, image: &known_as, late: &late };
                let start = self.start_container(&pod, &name, &sandbox_id, sandbox_attempt, &run);
                start.await.with_context(|| format!("starting container {name}"))
            }
        }
    }

    /// What a container is to know that nobody knew before, if it is to know any.
    async fn late(&self, pod: &Pod, name: &str, sandbox_id: &str) -> Result<BTreeMap<&'static str, String>> {
        let container = pod.spec.containers.iter().find(|container| container.name == name);
        if !container.is_some_and(sandbox::has_late) {
            return Ok(BTreeMap::new());
        }
        // A node without a network has no address; the kubelet leaves that empty as well.
        let host_ip = network::source_address().map(|address| address.to_string()).unwrap_or_default();
        let pod_ip = match pod.spec.host_network {
            true => host_ip.clone(),
            false => self.cri.sandbox_address(sandbox_id).await.context("asking for the pod's address")?,
        };
        let [uid, node, host, own] = LATE;
        let hostname = self.host.read("reading the node's name", proc::hostname).await?;
        Ok(BTreeMap::from([(uid, pod.uid.clone()), (node, hostname), (host, host_ip), (own, pod_ip)]))
    }

    /// Makes what is missing of the pod's volumes; returns where each lies.
    async fn volumes(&self, pod: &Pod) -> Result<BTreeMap<String, String>> {
        let pod = pod.clone();
        self.host.change("making volumes", move |host| volumes::provide(host, &pod)).await
    }

    /// There may be much in them, so the loop does not wait for it.
    async fn remove_volumes(&self, uid: String) -> Result<()> {
        self.host.change("removing volumes", move |host| volumes::remove(host, &uid)).await
    }

    async fn provide(&self, image: &Image) -> Result<()> {
        match image {
            Image::Archive { archive } => {
                let _one_at_a_time = self.importing.lock().await;
                preloaded::provide(&self.host, &self.cri, archive).await
            }
            Image::Registry { reference } => {
                log::info!("pod {}: pulling {reference}", self.key);
                self.cri.pull_image(&reference.to_string()).await.with_context(|| format!("pulling {reference}"))
            }
        }
    }

    async fn start_container(
        &self,
        pod: &Pod,
        name: &str,
        sandbox_id: &str,
        sandbox_attempt: u32,
        run: &sandbox::Run<'_>,
    ) -> Result<()> {
        let container = pod.spec.containers.iter().find(|container| container.name == name);
        let container = container.ok_or_else(|| anyhow!("the manifest has no such container"))?;
        let (logs, attempt) = (self.host.path(sandbox::log_folder(pod)).join(name), run.attempt);
        self.host.change("removing old logs", move |_| files::prune_logs(&logs, attempt)).await?;
        let volumes = self.volumes(pod).await?;
        let spec = sandbox::container(pod, container, run, &volumes, self.pids_limit);
        let id = self.cri.create_container(sandbox_id, &sandbox::spec(pod, sandbox_attempt, None), &spec).await?;
        self.cri.start_container(&id).await?;
        Ok(())
    }
}
