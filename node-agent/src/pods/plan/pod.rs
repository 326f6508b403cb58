//! What to do about one pod that shall run, and how it is.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use ballast_types::ImageReference;

use super::{ContainerStatus, Ended, Image, Status, Step, tear_down};
use crate::pods::{
    disk::{self, model::Eviction},
    model::{
        Container, Credential, Instance, Observed, Pod, PullPolicy, Resolver, RestartPolicy, SANDBOX_IMAGE, Sandbox,
        Spec, State,
    },
    phase::{self, ContainerPhase, Phase},
    restart_backoff::{self, Next},
};

/// How soon to look again for name servers.
const RESOLVER_AGAIN: Duration = Duration::from_secs(1);

/// The latest run of each container, with the sandbox that it is in.
type Latest<'a> = BTreeMap<&'a str, (&'a Sandbox, &'a Instance)>;

/// The plan for one pod.
pub(super) struct PodPlan<'a> {
    pod: &'a Pod,
    observed: &'a Observed,
    now: SystemTime,
    /// The sandboxes of this version of the pod.
    own: Vec<&'a Sandbox>,
    /// Those of others.
    stale: Vec<&'a Sandbox>,
    latest: Latest<'a>,
    /// That it was ended, and may not start again yet.
    eviction: Option<&'a Eviction>,
    /// When something is due that no event will report.
    pub(super) wake_at: Option<SystemTime>,
}

/// A container that is to be started.
struct Start<'a> {
    container: &'a Container,
    attempt: u32,
    crashes: u32,
    leftover: Option<String>,
}

impl<'a> PodPlan<'a> {
    pub(super) fn new(pod: &'a Pod, observed: &'a Observed, now: SystemTime, sandboxes: &[&'a Sandbox]) -> Self {
        let (own, stale): (Vec<&Sandbox>, Vec<&Sandbox>) = sandboxes.iter().partition(|sandbox| sandbox.uid == pod.uid);
        let latest = phase::latest(&own);
        let eviction = observed.disk.evicted.get(&pod.uid);
        let is_in_force = |eviction: &&Eviction| disk::plan::is_in_force(eviction, pod, observed.disk.is_short, now);
        Self { pod, observed, now, own, stale, latest, eviction: eviction.filter(is_in_force), wake_at: None }
    }

    /// Whether it was ended and may start again.
    pub(super) fn is_forgiven(&self) -> bool {
        self.eviction.is_none() && self.observed.disk.evicted.contains_key(&self.pod.uid)
    }

    /// What the pod has of the disk goes with it, but for its logs, which say what it did.
    fn evict(&mut self, eviction: &Eviction) -> Vec<Step> {
        if self.pod.spec.restart_policy == RestartPolicy::Always {
            self.wake_at = Some(disk::plan::again_at(eviction).max(self.now));
        }
        if self.own.is_empty() {
            return Vec::new();
        }
        // The records go last, so that an end that was interrupted is seen and ended.
        let all = self.own.iter().flat_map(|sandbox| tear_down(sandbox));
        let (records, mut steps): (Vec<Step>, Vec<Step>) =
            all.partition(|step| matches!(step, Step::RemoveSandbox { .. }));
        steps.push(Step::RemoveVolumes { uid: self.pod.uid.clone() });
        steps.extend(records);
        steps
    }

    pub(super) fn steps(&mut self) -> Vec<Step> {
        if !self.stale.is_empty() {
            return self.stale.iter().flat_map(|sandbox| tear_down(sandbox)).collect();
        }
        if let Some(eviction) = self.eviction {
            return self.evict(eviction);
        }
        let live = self.own.iter().copied().filter(|sandbox| sandbox.ready).max_by_key(|sandbox| sandbox.attempt);
        let starts = self.due_starts(live);
        let Some(live) = live else {
            if starts.is_empty() {
                return Vec::new();
            }
            if self.waits_for_resolver() {
                self.wake_at = Some(self.now + RESOLVER_AGAIN);
                return self.sandbox_image().into_iter().collect();
            }
            return self.new_sandbox();
        };
        let mut steps = self.clean_up(live);
        let policy = self.pod.spec.restart_policy;
        let over = |container: &Container| {
            phase::container_phase(policy, self.latest_run(container)) == ContainerPhase::Exited
        };
        if self.pod.spec.containers.iter().all(over) {
            steps.push(Step::StopSandbox { id: live.id.clone() });
        }
        steps.extend(starts.into_iter().map(|start| Step::StartContainer {
            pod: Box::new(self.pod.clone()),
            name: start.container.name.clone(),
            sandbox_id: live.id.clone(),
            sandbox_attempt: live.attempt,
            attempt: start.attempt,
            crashes: start.crashes,
            leftover: start.leftover,
            known_as: self.known_as(&start.container.image),
            image: self.image(&start.container.image, start.container.pull),
        }));
        steps
    }

    fn latest_run(&self, container: &Container) -> Option<&'a Instance> {
        self.latest.get(container.name.as_str()).map(|(_, run)| *run)
    }

    fn new_sandbox(&self) -> Vec<Step> {
        // The network of a sandbox that died, as over a reboot, is still to be given back.
        let mut steps: Vec<Step> = self.own.iter().map(|old| Step::StopSandbox { id: old.id.clone() }).collect();
        steps.extend(self.sandbox_image());
        let attempt = self.own.iter().map(|old| old.attempt + 1).max().unwrap_or(0);
        steps.push(Step::RunSandbox { pod: Box::new(self.pod.clone()), attempt, resolver: self.resolver() });
        steps
    }

    /// Whom it asks for names; None to ask whom the node asks: on the node's own network the node's own stub resolver answers, and follows
    /// each change of servers.
    fn resolver(&self) -> Option<Resolver> {
        let dns = &self.pod.spec.dns;
        match (self.pod.spec.host_network && dns.is_empty(), &self.observed.resolver) {
            (true, _) => None,
            (false, Some(node)) => Some(dns.with(node.clone())),
            (false, None) => dns.is_alone.then(|| dns.with(Resolver::default())),
        }
    }

    /// What a sandbox is given when it is made it keeps: made too early, it never knows a name server.
    fn waits_for_resolver(&self) -> bool {
        let Spec { host_network, dns, .. } = &self.pod.spec;
        let asks_the_nodes = !dns.is_alone && (!host_network || !dns.is_empty());
        asks_the_nodes && self.observed.resolver.is_none()
    }

    fn sandbox_image(&self) -> Option<Step> {
        let image = ImageReference::parse(SANDBOX_IMAGE).ok()?;
        self.image(&image, PullPolicy::Never).map(Step::ProvideImage)
    }

    /// The containers that should be running by now and are not.
    fn due_starts(&mut self, live: Option<&Sandbox>) -> Vec<Start<'a>> {
        let mut starts = Vec::new();
        for container in &self.pod.spec.containers {
            if !self.image_is_out_of_reach(container) {
                starts.extend(self.due_start(container, live));
            }
        }
        starts
    }

    fn due_start(&mut self, container: &'a Container, live: Option<&Sandbox>) -> Option<Start<'a>> {
        let first = Start { container, attempt: 0, crashes: 0, leftover: None };
        let Some((sandbox, run)) = self.latest.get(container.name.as_str()).copied() else { return Some(first) };
        let again = Start { attempt: run.attempt + 1, ..first };
        match (&run.state, phase::after(self.pod.spec.restart_policy, run)) {
            // Of a sandbox that died nothing runs, whatever the runtime remembers.
            (State::Running | State::Created, _) if live.is_none_or(|live| live.id != sandbox.id) => Some(again),
            (State::Running, _) | (State::Exited { .. }, None | Some(Next::Nothing)) => None,
            (State::Created, _) => {
                Some(Start { attempt: run.attempt, crashes: run.crashes, leftover: Some(run.id.clone()), ..again })
            }
            (State::Exited { .. }, Some(Next::Start { at, crashes })) => {
                if restart_backoff::is_due(at, self.now) {
                    return Some(Start { crashes, ..again });
                }
                self.wake_at = self.wake_at.into_iter().chain([at]).min();
                None
            }
        }
    }

    /// How to get `image` onto the node, if it has to be got. What the OS brings along is never asked of a registry.
    fn image(&self, image: &ImageReference, pull: PullPolicy) -> Option<Image> {
        let there = self.observed.images.get(image);
        if let Some(archive) = self.observed.archives.get(image) {
            // Imported, it has its name and no digest: by its digest it is known through its configuration.
            let there = there.or_else(|| self.observed.images.get(&archive.reference));
            return (there != Some(&archive.config)).then(|| Image::Archive { archive: archive.clone() });
        }
        let wanted = match pull {
            PullPolicy::Always => true,
            PullPolicy::IfNotPresent => there.is_none(),
            PullPolicy::Never => false,
        };
        wanted.then(|| Image::Registry {
            reference: image.clone(),
            credential: Credential::of_image(&self.pod.spec.credentials, image).cloned(),
        })
    }

    /// The runtime resolves names as it lists them, and the digests of configurations.
    fn known_as(&self, image: &ImageReference) -> String {
        match self.observed.archives.get(image) {
            Some(archive) if archive.reference != *image => archive.config.clone(),
            Some(_) | None => image.to_string(),
        }
    }

    fn image_is_out_of_reach(&self, container: &Container) -> bool {
        container.pull == PullPolicy::Never
            && !self.observed.images.contains_key(&container.image)
            && !self.observed.archives.contains_key(&container.image)
    }

    /// What is over and not needed any more: other sandboxes than the live one, once none of the latest runs is in them;
    /// and runs before the last but one, which is kept for its log.
    fn clean_up(&self, live: &Sandbox) -> Vec<Step> {
        let mut steps = Vec::new();
        for old in self.own.iter().filter(|sandbox| sandbox.id != live.id) {
            if self.latest.values().all(|(sandbox, _)| sandbox.id != old.id) {
                steps.push(Step::StopSandbox { id: old.id.clone() });
                steps.push(Step::RemoveSandbox { id: old.id.clone() });
            }
        }
        // Each has a root file system, of which there may be too many.
        let kept = u32::from(!self.observed.disk.is_short);
        for run in &live.containers {
            let newest = self.latest.get(run.name.as_str()).map_or(0, |(_, newest)| newest.attempt);
            if run.attempt + kept < newest && run.state != State::Running {
                steps.push(Step::RemoveContainer { id: run.id.clone() });
            }
        }
        steps
    }

    pub(super) fn status(&self) -> Status {
        let policy = self.pod.spec.restart_policy;
        let containers = self.pod.spec.containers.iter().map(|container| {
            let run = self.latest_run(container);
            ContainerStatus {
                name: container.name.clone(),
                phase: match self.eviction {
                    Some(_) if run.is_none() => ContainerPhase::Exited,
                    Some(_) | None => phase::container_phase(policy, run),
                },
                restarts: run.map_or(0, |run| run.attempt),
                ended: run.and_then(ended),
            }
        });
        let key = &self.pod.spec.key;
        Status {
            key: key.clone(),
            phase: if self.eviction.is_some() { Phase::Failed } else { phase::phase(self.pod, &self.latest) },
            containers: containers.collect(),
            notes: self.pod.notes.clone(),
            problem: self.problem().map(|problem| format!("pod {key}: {problem}")),
        }
    }

    fn problem(&self) -> Option<String> {
        if let Some(Eviction { message, .. }) = self.eviction {
            return Some(format!("Evicted: {message}"));
        }
        let is_running =
            |container: &Container| self.latest_run(container).is_some_and(|run| run.state == State::Running);
        // A job that failed may have done its work all the same, as when the runtime broke off before it answered.
        let failure = self.observed.failures.get(&self.pod.spec.key).filter(|failure| failure.uid == self.pod.uid);
        if let (Some(failure), false) = (failure, self.pod.spec.containers.iter().all(is_running)) {
            return Some(failure.message.clone());
        }
        if self.own.is_empty() && self.waits_for_resolver() {
            return Some("waits for the network to name its name servers".to_owned());
        }
        self.pod.spec.containers.iter().find_map(|container| self.container_problem(container))
    }

    fn container_problem(&self, container: &Container) -> Option<String> {
        let name = &container.name;
        if self.image_is_out_of_reach(container) {
            return Some(format!("image {} is not on this node, and imagePullPolicy is Never", container.image));
        }
        let run = self.latest_run(container)?;
        let State::Exited { started_at, exit_code, reason, message, .. } = &run.state else { return None };
        if started_at.is_none() && !message.is_empty() {
            return Some(format!("container {name} cannot start: {message}"));
        }
        let why = if reason.is_empty() || reason == "Error" { String::new() } else { format!(" ({reason})") };
        let more = if message.is_empty() { String::new() } else { format!(": {message}") };
        match phase::after(self.pod.spec.restart_policy, run)? {
            Next::Start { crashes, .. } => (crashes > 1)
                .then(|| format!("container {name} ends again and again, with status {exit_code}{why}{more}")),
            Next::Nothing => {
                (*exit_code != 0).then(|| format!("container {name} ended with status {exit_code}{why}{more}"))
            }
        }
    }
}

fn ended(run: &Instance) -> Option<Ended> {
    let State::Exited { exit_code, reason, message, .. } = &run.state else { return None };
    Some(Ended { exit_code: *exit_code, reason: reason.clone(), message: message.clone() })
}
