//! What to do about the pods: a pure function of desired pods, running pods, and the time.

mod end;
mod pod;
mod status;
mod turn;

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use ballast_types::ImageReference;

pub use self::end::{End, end_all, left_to_end};
use self::{end::tear_down, pod::PodPlan};
use super::{
    desired::Desired,
    disk,
    model::{Archive, Credential, Failure, Key, Observed, Pod, Resolver, Sandbox},
    phase::{ContainerPhase, Phase},
    restart_backoff,
};

/// What to do now, when to look again, and how the pods are.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Work, at most one job for a pod.
    pub jobs: Vec<Job>,
    /// When something is due that no event will report.
    pub wake_at: Option<SystemTime>,
    /// How the pods are.
    pub pods: Vec<Status>,
    /// Versions of pods of which only volumes and logs are left, to be removed.
    pub leftovers: Vec<String>,
    /// What to do about the room on /var.
    pub disk: disk::model::Steps,
    /// What is wrong with the room on /var, in one sentence.
    pub disk_problem: Option<String>,
    /// The running containers that have probes.
    pub probed: Vec<Probed>,
}

/// A running container with probes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// Its pod.
    pub key: Key,
    /// Its name.
    pub container: String,
    /// This run of it, by the runtime's id.
    pub id: String,
    /// Where its pod is reached.
    pub address: String,
    /// When it started.
    pub started_at: Option<SystemTime>,
}

/// The steps for one pod, in order. The first that fails ends the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Which pod.
    pub key: Key,
    /// Which version of it.
    pub uid: String,
    /// What to do.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Report containers to end, after their hooks, and kill them after `grace`.
    StopContainers {
        /// Which.
        ends: Vec<End>,
        /// How long they may take, all of them together.
        grace: Duration,
        /// Where their pod is reached, for their hooks.
        address: String,
    },
    /// Stop a sandbox and what still runs in it.
    StopSandbox {
        /// The runtime's id.
        id: String,
    },
    /// Remove a sandbox and its containers.
    RemoveSandbox {
        /// The runtime's id.
        id: String,
    },
    /// Remove the emptyDirs of a version of the pod.
    RemoveVolumes {
        /// Which version.
        uid: String,
    },
    /// Remove a container that does not run.
    RemoveContainer {
        /// The runtime's id.
        id: String,
    },
    /// Get an image.
    ProvideImage(Image),
    /// Make the pod's volumes, and a sandbox.
    RunSandbox {
        /// The pod.
        pod: Box<Pod>,
        /// How many sandboxes there were before.
        attempt: u32,
        /// When the first of them was made; None if it is this one.
        since: Option<SystemTime>,
        /// Whom it asks for names; None to ask whom the node asks.
        resolver: Option<Resolver>,
    },
    /// Make and start a container. If this fails, the pod's other containers are started all the same.
    StartContainer {
        /// The pod.
        pod: Box<Pod>,
        /// The container's name.
        name: String,
        /// The sandbox.
        sandbox_id: String,
        /// How many sandboxes there were before this one.
        sandbox_attempt: u32,
        /// How many runs there were before.
        attempt: u32,
        /// How many of them in a row ended soon.
        crashes: u32,
        /// What is left of an interrupted start, to be removed first.
        leftover: Option<String>,
        /// What the runtime knows the image by.
        known_as: String,
        /// How to get the image first.
        image: Option<Image>,
    },
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// From a file that the OS brings along.
    Archive {
        /// Where it is, and which image.
        archive: Archive,
    },
    /// From its registry.
    Registry {
        /// Its name.
        reference: ImageReference,
        /// Who asks, if not the node.
        credential: Option<Credential>,
    },
}

/// How a pod is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Which pod.
    pub key: Key,
    /// Its phase.
    pub phase: Phase,
    /// Whether all of its containers are ready to serve.
    pub is_ready: bool,
    /// Why it is over, in one of Kubernetes' words.
    pub reason: Option<&'static str>,
    /// Where it is reached; empty if it is not.
    pub address: String,
    /// When it first began.
    pub since: Option<SystemTime>,
    /// Its containers, in the order of their start.
    pub containers: Vec<ContainerStatus>,
    /// What of its manifest has no effect.
    pub notes: Vec<String>,
    /// What is wrong with it, in one sentence.
    pub problem: Option<String>,
    /// Why it is not ready, in the words of a probe.
    pub unready: Option<String>,
}

/// How a container is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerStatus {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// What it does.
    pub phase: ContainerPhase,
    /// Whether it is ready to serve.
    pub is_ready: bool,
    /// Whether its startup probe succeeded, if it has one and runs.
    pub is_started: bool,
    /// When it starts again, if it waits for that.
    pub next_start: Option<SystemTime>,
    /// How often it was started again.
    pub restarts: u32,
    /// How its latest run ended, if it did.
    pub ended: Option<Ended>,
    /// How the run before it ended, if that is known.
    pub last_ended: Option<Ended>,
}

/// What a container is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The pod is there for it.
    Main,
    /// It comes first, and ends.
    Init,
    /// It comes first, and runs on.
    Sidecar,
}

/// How a run of a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// With which status.
    pub exit_code: i32,
    /// Why, in one word; empty if the runtime does not know.
    pub reason: String,
    /// Why: its termination message, or a sentence of the runtime's; empty if there is none.
    pub message: String,
    /// When.
    pub at: SystemTime,
}

/// Decides what to do.
pub fn plan(desired: &Desired, observed: &Observed, now: SystemTime) -> Plan {
    let mut plan = Plan::default();
    let mut by_key: BTreeMap<&Key, Vec<&Sandbox>> = BTreeMap::new();
    for sandbox in &observed.sandboxes {
        by_key.entry(&sandbox.key).or_default().push(sandbox);
    }
    for pod in desired.pods.values() {
        let sandboxes = by_key.remove(&pod.spec.key).unwrap_or_default();
        let mut one = PodPlan::new(pod, observed, now, &sandboxes);
        plan.add(&pod.spec.key, &pod.uid, one.steps(), observed, now);
        plan.wake(one.wake_at);
        plan.pods.push(one.status());
        plan.probed.extend(one.probed());
        if one.is_forgiven() {
            plan.disk.forgive.push(pod.uid.clone());
        }
    }
    for (key, sandboxes) in by_key {
        let uid = sandboxes.first().map(|sandbox| sandbox.uid.clone()).unwrap_or_default();
        let steps = sandboxes.iter().flat_map(|sandbox| tear_down(sandbox, None)).collect();
        plan.add(key, &uid, steps, observed, now);
    }
    let in_use = |uid: &String| {
        desired.pods.values().any(|pod| pod.uid == *uid)
            || observed.sandboxes.iter().any(|sandbox| sandbox.uid == *uid)
            || observed.busy.values().any(|busy| busy == uid)
    };
    plan.keep_room(desired, observed, now);
    plan.leftovers = observed.files.iter().filter(|uid| !in_use(uid)).cloned().collect();
    plan
}

impl Job {
    /// Whether it brings the pod up.
    pub fn is_start(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::RunSandbox { .. } | Step::StartContainer { .. }))
    }
}

impl Plan {
    /// Adds a job, unless one is at work on the pod, or the last one failed just now.
    fn add(&mut self, key: &Key, uid: &str, steps: Vec<Step>, observed: &Observed, now: SystemTime) {
        if steps.is_empty() || observed.busy.contains_key(key) {
            return;
        }
        let job = Job { key: key.clone(), uid: uid.to_owned(), steps };
        // That a pod could not be started is no reason to wait with its end.
        let same = |failure: &&Failure| failure.uid == uid && failure.of_start == job.is_start();
        if let Some(failure) = observed.failures.get(key).filter(same) {
            let retry_at = failure.at + restart_backoff::delay(failure.count);
            if !restart_backoff::is_due(retry_at, now) {
                self.wake(Some(retry_at));
                return;
            }
        }
        self.jobs.push(job);
    }

    /// What to do about the disk.
    fn keep_room(&mut self, desired: &Desired, observed: &Observed, now: SystemTime) {
        let runs = |pod: &&Pod| observed.sandboxes.iter().any(|sandbox| sandbox.uid == pod.uid);
        let running = || desired.pods.values().filter(runs);
        let is_gone = |uid: &&String| desired.pods.values().all(|pod| pod.uid != **uid);
        self.disk.forgive.extend(observed.disk.evicted.keys().filter(is_gone).cloned());
        self.disk.collect = disk::collect::surplus(desired, observed, now);
        self.disk.evict = disk::plan::evictions(running(), &observed.disk);
        self.disk.measure = disk::plan::measured(running(), &observed.disk);
        self.disk_problem = disk::plan::problem(&observed.disk);
    }

    fn wake(&mut self, at: Option<SystemTime>) {
        self.wake_at = self.wake_at.into_iter().chain(at).min();
    }
}

#[cfg(test)]
mod tests;
