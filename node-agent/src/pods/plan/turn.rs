//! Whose turn it is: init containers one after the other, sidecars among them as soon as they have started, then all others
//! (kubelet: computeInitContainerActions). What of a pod is over, and what of it is tried again.

use std::time::{Duration, SystemTime};

use super::{
    Probed, Step,
    end::stop_one,
    pod::{PodPlan, Start},
};
use crate::pods::{
    model::{Container, Instance, RestartPolicy, Sandbox, State},
    phase::{self, ContainerPhase},
    restart_backoff::{self, Next},
};

/// Why a pod is ended before its containers are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doom {
    /// activeDeadlineSeconds are over.
    DeadlineExceeded,
    /// A Job failed as often as it may.
    BackoffLimitExceeded,
}

impl Doom {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::DeadlineExceeded => "DeadlineExceeded",
            Self::BackoffLimitExceeded => "BackoffLimitExceeded",
        }
    }
}

impl<'a> PodPlan<'a> {
    /// The containers that should be running by now and are not.
    pub(super) fn due_starts(&mut self, live: Option<&Sandbox>) -> Vec<Start<'a>> {
        let mut starts = Vec::new();
        for container in self.whose_turn(live) {
            if !self.image_is_out_of_reach(container) {
                starts.extend(self.due_start(container, live));
            }
        }
        starts
    }

    /// The containers that may run by now, in the order of their start.
    pub(super) fn whose_turn(&self, live: Option<&Sandbox>) -> Vec<&'a Container> {
        let spec = &self.pod.spec;
        // Without a sandbox it counts whether anything is left to run in one.
        let Some(live) = live else {
            let is_over = self.is_over();
            return spec.containers.iter().filter(|_| !is_over).collect();
        };
        let mut turn: Vec<&Container> = Vec::new();
        let has_begun = spec.containers.iter().any(|one| live.containers.iter().any(|run| run.name == one.name));
        for container in &spec.init_containers {
            let is_done = match self.latest_run(container) {
                Some(run) if container.is_sidecar => run.state == State::Running && self.is_started(container, run),
                Some(run) => matches!(run.state, State::Exited { exit_code: 0, .. }),
                None => false,
            };
            if container.is_sidecar || !has_begun {
                turn.push(container);
            }
            if !is_done && !has_begun {
                return turn;
            }
        }
        // They end with those that they serve.
        if self.is_over() {
            return Vec::new();
        }
        turn.extend(&spec.containers);
        turn
    }

    fn due_start(&mut self, container: &'a Container, live: Option<&Sandbox>) -> Option<Start<'a>> {
        let before = self.latest.get(container.name.as_str()).copied();
        let first =
            Start { container, attempt: before.map_or(0, |(_, run)| run.attempt + 1), crashes: 0, leftover: None };
        let Some((sandbox, run)) = before.filter(|(sandbox, _)| self.counts(container, sandbox)) else {
            return Some(first);
        };
        match (&run.state, phase::after(self.policy(container), run)) {
            // Of a sandbox that died nothing runs, whatever the runtime remembers.
            (State::Running | State::Created, _) if live.is_none_or(|live| live.id != sandbox.id) => Some(first),
            (State::Running, _) | (State::Exited { .. }, None | Some(Next::Nothing)) => None,
            (State::Created, _) => {
                Some(Start { attempt: run.attempt, crashes: run.crashes, leftover: Some(run.id.clone()), ..first })
            }
            (State::Exited { .. }, Some(Next::Start { at, crashes })) => {
                if restart_backoff::is_due(at, self.now) {
                    return Some(Start { crashes, ..first });
                }
                self.wake(at);
                None
            }
        }
    }

    /// The latest run of a container, if it counts.
    pub(super) fn latest_run(&self, container: &Container) -> Option<&'a Instance> {
        let (sandbox, run) = self.latest.get(container.name.as_str()).copied()?;
        self.counts(container, sandbox).then_some(run)
    }

    /// Whether a run in `sandbox` counts: init containers run again in each sandbox, and so does all of a Job's next try.
    fn counts(&self, container: &Container, sandbox: &Sandbox) -> bool {
        let is_newest = || self.newest().is_none_or(|newest| newest.id == sandbox.id);
        !(self.is_init(container) || self.is_tried_anew()) || is_newest()
    }

    pub(super) fn newest(&self) -> Option<&'a Sandbox> {
        self.own.iter().copied().max_by_key(|sandbox| sandbox.attempt)
    }

    pub(super) fn is_init(&self, container: &Container) -> bool {
        self.pod.spec.init_containers.iter().any(|one| one.name == container.name)
    }

    /// Whether it is a Job of which each try is a pod of its own.
    fn is_tried_anew(&self) -> bool {
        self.pod.spec.backoff_limit.is_some() && self.pod.spec.restart_policy == RestartPolicy::Never
    }

    /// What happens when a container ends.
    pub(super) fn policy(&self, container: &Container) -> RestartPolicy {
        let policy = match self.pod.spec.restart_policy {
            _ if container.is_sidecar => return RestartPolicy::Always,
            RestartPolicy::Always if self.is_init(container) => RestartPolicy::OnFailure,
            policy @ (RestartPolicy::Always | RestartPolicy::OnFailure | RestartPolicy::Never) => policy,
        };
        let is_spent = || self.pod.spec.backoff_limit.is_some_and(|limit| self.restarts() >= limit);
        if policy == RestartPolicy::OnFailure && is_spent() { RestartPolicy::Never } else { policy }
    }

    /// How often its containers were started again, but for sidecars.
    fn restarts(&self) -> u32 {
        let of = |container: &Container| self.latest.get(container.name.as_str()).map_or(0, |(_, run)| run.attempt);
        self.pod.spec.all_containers().filter(|one| !one.is_sidecar).map(of).sum()
    }

    /// Whether the startup probe of a running container succeeded, if it has one.
    pub(super) fn is_started(&self, container: &Container, run: &Instance) -> bool {
        let verdict = self.observed.verdicts.get(&run.id);
        verdict.map_or(container.probes.startup.is_none(), |verdict| verdict.is_started)
    }

    /// Whether a running container is ready to serve.
    pub(super) fn is_ready(&self, container: &Container, run: &Instance) -> bool {
        let has_none = container.probes.startup.is_none() && container.probes.readiness.is_none();
        run.state == State::Running && self.observed.verdicts.get(&run.id).map_or(has_none, |verdict| verdict.is_ready)
    }

    /// Whether an init container failed and is not started again.
    pub(super) fn has_failed_to_begin(&self) -> bool {
        self.pod.spec.init_containers.iter().any(|one| self.is_failed(one))
    }

    fn is_failed(&self, container: &Container) -> bool {
        let run = self.latest_run(container);
        let is_bad = run.is_some_and(|run| matches!(run.state, State::Exited { exit_code, .. } if exit_code != 0));
        is_bad && phase::container_phase(self.policy(container), run) == ContainerPhase::Exited
    }

    /// Whether nothing of it runs again.
    pub(super) fn is_over(&self) -> bool {
        let is_over =
            |one: &Container| phase::container_phase(self.policy(one), self.latest_run(one)) == ContainerPhase::Exited;
        self.has_failed_to_begin() || self.pod.spec.containers.iter().all(is_over)
    }

    /// When the next try of a Job is due, if this one failed and there is another.
    pub(super) fn tries_again_at(&self) -> Option<SystemTime> {
        let newest = self.newest().filter(|_| self.is_tried_anew() && self.is_over())?;
        let is_bad = self.has_failed_to_begin() || self.pod.spec.containers.iter().any(|one| self.is_failed(one));
        let is_left = self.pod.spec.backoff_limit.is_some_and(|limit| newest.attempt < limit);
        let ended = self.pod.spec.all_containers().filter_map(|one| ended_at(self.latest_run(one)?)).max();
        ended.filter(|_| is_bad && is_left).map(|at| at + restart_backoff::delay(newest.attempt.saturating_add(1)))
    }

    /// Why it is ended before its containers are done; it stays so as long as its sandboxes are known.
    pub(super) fn doom(&mut self) -> Option<Doom> {
        let spec = &self.pod.spec;
        let since = self.own.iter().map(|sandbox| sandbox.since).min()?;
        let due = spec.active_deadline.and_then(|deadline| since.checked_add(deadline));
        if let Some(due) = due {
            let own_ends = spec.all_containers().filter(|one| !one.is_sidecar);
            let ended = own_ends.filter_map(|one| ended_at(self.latest_run(one)?)).max();
            let is_done = self.is_over() && self.tries_again_at().is_none() && ended.is_some_and(|ended| ended < due);
            match due <= self.now {
                true if !is_done => return Some(Doom::DeadlineExceeded),
                true => {}
                false => self.wake(due),
            }
        }
        // A try that is a pod of its own has failed when all of its containers have ended.
        let has_ended = !self.is_tried_anew() || self.is_over();
        let is_spent = spec.backoff_limit.is_some() && spec.all_containers().any(|one| self.is_failed(one));
        (is_spent && has_ended && self.tries_again_at().is_none()).then_some(Doom::BackoffLimitExceeded)
    }

    /// Ends containers whose startup or liveness probe failed; their policy says what follows.
    pub(super) fn unhealthy(&self, live: &Sandbox) -> Vec<Step> {
        let mut steps = Vec::new();
        for (container, run) in self.running(live) {
            let failed = self.observed.verdicts.get(&run.id).and_then(|verdict| verdict.failed.as_ref());
            if let Some(failed) = failed {
                let grace: Option<Duration> = container.probes.get(failed.kind).and_then(|probe| probe.grace);
                steps.push(stop_one(live, run, &self.pod.spec, grace.unwrap_or(live.grace)));
            }
        }
        steps
    }

    /// The running containers that have probes.
    pub(super) fn probed(&self) -> Vec<Probed> {
        let live = self.own.iter().copied().filter(|sandbox| sandbox.ready).max_by_key(|sandbox| sandbox.attempt);
        let (Some(live), None, true) = (live, self.eviction, self.stale.is_empty()) else { return Vec::new() };
        let probed = |(container, run): (&Container, &Instance)| Probed {
            key: self.pod.spec.key.clone(),
            container: container.name.clone(),
            id: run.id.clone(),
            address: live.address.clone(),
            started_at: run.started_at,
        };
        self.running(live).filter(|(container, _)| !container.probes.is_empty()).map(probed).collect()
    }

    fn running(&self, live: &'a Sandbox) -> impl Iterator<Item = (&'a Container, &'a Instance)> {
        let run = |container: &'a Container| {
            let (sandbox, run) = self.latest.get(container.name.as_str()).copied()?;
            (sandbox.id == live.id && run.state == State::Running).then_some((container, run))
        };
        self.pod.spec.all_containers().filter_map(run)
    }
}

fn ended_at(run: &Instance) -> Option<SystemTime> {
    match &run.state {
        State::Exited { finished_at, .. } => Some(*finished_at),
        State::Created | State::Running => None,
    }
}
