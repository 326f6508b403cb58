//! What to do about one pod that shall run, and how it is.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use ballast_types::ImageReference;

use super::{
    Image, Step,
    end::{stop, tear_down},
    turn::Doom,
};
use crate::pods::{
    disk::{self, model::Eviction},
    model::{
        Container, Credential, Instance, Observed, Pod, PullPolicy, Resolver, RestartPolicy, SANDBOX_IMAGE, Sandbox,
        Spec, State,
    },
    phase, restart_backoff,
};

/// How soon to look again for name servers.
const RESOLVER_AGAIN: Duration = Duration::from_secs(1);

/// The latest run of each container, with the sandbox that it is in.
type Latest<'a> = BTreeMap<&'a str, (&'a Sandbox, &'a Instance)>;

/// The plan for one pod.
pub(super) struct PodPlan<'a> {
    pub(super) pod: &'a Pod,
    pub(super) observed: &'a Observed,
    pub(super) now: SystemTime,
    /// The sandboxes of this version of the pod.
    pub(super) own: Vec<&'a Sandbox>,
    /// Those of others.
    pub(super) stale: Vec<&'a Sandbox>,
    pub(super) latest: Latest<'a>,
    /// That it was ended, and may not start again yet.
    pub(super) eviction: Option<&'a Eviction>,
    /// Why it is ended before its containers are done.
    pub(super) doom: Option<Doom>,
    /// When something is due that no event will report.
    pub(super) wake_at: Option<SystemTime>,
}

/// A container that is to be started.
pub(super) struct Start<'a> {
    pub(super) container: &'a Container,
    pub(super) attempt: u32,
    pub(super) crashes: u32,
    pub(super) leftover: Option<String>,
}

impl<'a> PodPlan<'a> {
    pub(super) fn new(pod: &'a Pod, observed: &'a Observed, now: SystemTime, sandboxes: &[&'a Sandbox]) -> Self {
        let (own, stale): (Vec<&Sandbox>, Vec<&Sandbox>) = sandboxes.iter().partition(|sandbox| sandbox.uid == pod.uid);
        let latest = phase::latest(&own);
        let eviction = observed.disk.evicted.get(&pod.uid);
        let is_in_force = |eviction: &&Eviction| disk::plan::is_in_force(eviction, pod, observed.disk.is_short, now);
        let eviction = eviction.filter(is_in_force);
        let mut plan = Self { pod, observed, now, own, stale, latest, eviction, doom: None, wake_at: None };
        plan.doom = plan.doom();
        plan
    }

    pub(super) fn wake(&mut self, at: SystemTime) {
        self.wake_at = self.wake_at.into_iter().chain([at]).min();
    }

    /// Whether it was ended and may start again.
    pub(super) fn is_forgiven(&self) -> bool {
        self.eviction.is_none() && self.observed.disk.evicted.contains_key(&self.pod.uid)
    }

    /// What the pod has of the disk goes with it, but for its logs, which say what it did.
    fn evict(&mut self, eviction: &Eviction) -> Vec<Step> {
        if self.pod.spec.restart_policy == RestartPolicy::Always {
            self.wake(disk::plan::again_at(eviction).max(self.now));
        }
        if self.own.is_empty() {
            return Vec::new();
        }
        // The records go last, so that an end that was interrupted is seen and ended.
        let all = self.own.iter().flat_map(|sandbox| tear_down(sandbox, Some(&self.pod.spec)));
        let (records, mut steps): (Vec<Step>, Vec<Step>) =
            all.partition(|step| matches!(step, Step::RemoveSandbox { .. }));
        steps.push(Step::RemoveVolumes { uid: self.pod.uid.clone() });
        steps.extend(records);
        steps
    }

    pub(super) fn steps(&mut self) -> Vec<Step> {
        if !self.stale.is_empty() {
            return self.stale.iter().flat_map(|sandbox| tear_down(sandbox, None)).collect();
        }
        if let Some(eviction) = self.eviction {
            return self.evict(eviction);
        }
        let live = self.own.iter().copied().filter(|sandbox| sandbox.ready).max_by_key(|sandbox| sandbox.attempt);
        if self.doom.is_some() {
            return live.map(|live| self.end(live)).unwrap_or_default();
        }
        let starts = self.due_starts(live);
        let Some(live) = live else {
            let again = self.tries_again_at().filter(|_| starts.is_empty());
            if let Some(again) = again.filter(|again| !restart_backoff::is_due(*again, self.now)) {
                self.wake(again);
                return Vec::new();
            }
            if starts.is_empty() && again.is_none() {
                return Vec::new();
            }
            if self.waits_for_resolver() {
                self.wake(self.now + RESOLVER_AGAIN);
                return self.sandbox_image().into_iter().collect();
            }
            return self.new_sandbox(again.is_some());
        };
        let mut steps = self.clean_up(live);
        if self.is_over() {
            steps.extend(self.end(live));
            return steps;
        }
        let unhealthy = self.unhealthy(live);
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
        // They may take their time, and what starts need not wait for that.
        steps.extend(unhealthy);
        steps
    }

    /// Ends what runs, and keeps the records: they say how it ended.
    fn end(&self, live: &Sandbox) -> Vec<Step> {
        let stop = stop(live, Some(&self.pod.spec), |_| true);
        stop.into_iter().chain([Step::StopSandbox { id: live.id.clone() }]).collect()
    }

    /// `is_next_try` is of a Job, which begins with empty volumes.
    fn new_sandbox(&self, is_next_try: bool) -> Vec<Step> {
        // The network of a sandbox that died, as over a reboot, is still to be given back.
        let mut steps: Vec<Step> = self.own.iter().map(|old| Step::StopSandbox { id: old.id.clone() }).collect();
        if is_next_try {
            steps.push(Step::RemoveVolumes { uid: self.pod.uid.clone() });
        }
        steps.extend(self.sandbox_image());
        let attempt = self.own.iter().map(|old| old.attempt + 1).max().unwrap_or(0);
        let (since, resolver) = (self.own.iter().map(|old| old.since).min(), self.resolver());
        steps.push(Step::RunSandbox { pod: Box::new(self.pod.clone()), attempt, since, resolver });
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
    pub(super) fn waits_for_resolver(&self) -> bool {
        let Spec { host_network, dns, .. } = &self.pod.spec;
        let asks_the_nodes = !dns.is_alone && (!host_network || !dns.is_empty());
        asks_the_nodes && self.observed.resolver.is_none()
    }

    fn sandbox_image(&self) -> Option<Step> {
        let image = ImageReference::parse(SANDBOX_IMAGE).ok()?;
        self.image(&image, PullPolicy::Never).map(Step::ProvideImage)
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

    pub(super) fn image_is_out_of_reach(&self, container: &Container) -> bool {
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
}
