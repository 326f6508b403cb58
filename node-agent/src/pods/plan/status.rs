//! How a pod and its containers are.

use super::{ContainerStatus, Ended, Role, Status, pod::PodPlan};
use crate::pods::{
    disk::model::Eviction,
    model::{Container, Instance, State},
    phase::{self, ContainerPhase, Phase},
    restart_backoff::Next,
};

impl PodPlan<'_> {
    pub(super) fn status(&self) -> Status {
        let key = &self.pod.spec.key;
        let phase = self.phase();
        let serves = |one: &Container| !self.is_init(one) || one.is_sidecar;
        let is_ready = |one: &Container| self.latest_run(one).is_some_and(|run| self.is_ready(one, run));
        let live = self.newest().filter(|newest| newest.ready);
        let evicted = self.eviction.map(|_| "Evicted");
        Status {
            key: key.clone(),
            phase,
            is_ready: phase == Phase::Running && self.pod.spec.all_containers().filter(|one| serves(one)).all(is_ready),
            reason: evicted.or(self.doom.map(|doom| doom.name())),
            address: live.map(|live| live.address.clone()).unwrap_or_default(),
            since: self.own.iter().map(|sandbox| sandbox.since).min(),
            containers: self.pod.spec.all_containers().map(|container| self.container(container)).collect(),
            notes: self.pod.notes.clone(),
            problem: self.problem().map(|problem| format!("pod {key}: {problem}")),
            unready: self.unready(),
        }
    }

    fn container(&self, container: &Container) -> ContainerStatus {
        let run = self.latest_run(container);
        let phase = match self.eviction {
            Some(_) if run.is_none() => ContainerPhase::Exited,
            Some(_) | None => phase::container_phase(self.policy(container), run),
        };
        let next = run.and_then(|run| phase::after(self.policy(container), run));
        let latest = self.latest.get(container.name.as_str()).map(|(_, run)| *run);
        let before = latest.and_then(|latest| {
            let mut runs = self.own.iter().flat_map(|sandbox| &sandbox.containers);
            runs.find(|run| run.name == latest.name && run.attempt + 1 == latest.attempt)
        });
        ContainerStatus {
            name: container.name.clone(),
            role: match (container.is_sidecar, self.is_init(container)) {
                (true, _) => Role::Sidecar,
                (false, true) => Role::Init,
                (false, false) => Role::Main,
            },
            is_ready: run.is_some_and(|run| self.is_ready(container, run)),
            is_started: run.is_some_and(|run| run.state == State::Running && self.is_started(container, run)),
            next_start: match (phase, next) {
                (ContainerPhase::Waiting, Some(Next::Start { at, .. })) if self.doom.is_none() => Some(at),
                (_, _) => None,
            },
            phase,
            restarts: latest.map_or(0, |run| run.attempt),
            ended: run.and_then(ended),
            last_ended: before.and_then(ended),
        }
    }

    /// As Kubernetes derives it from the containers (pod lifecycle: phases, container states).
    fn phase(&self) -> Phase {
        if self.eviction.is_some() || self.doom.is_some() || self.has_failed_to_begin() {
            return Phase::Failed;
        }
        let runs = || self.pod.spec.containers.iter().map(|one| self.latest_run(one));
        let never_ran = |run: Option<&Instance>| run.is_none_or(|run| run.attempt == 0 && run.state == State::Created);
        if runs().any(never_ran) {
            return Phase::Pending;
        }
        if !self.is_over() || self.tries_again_at().is_some() {
            return Phase::Running;
        }
        let well =
            |run: Option<&Instance>| run.is_some_and(|run| matches!(run.state, State::Exited { exit_code: 0, .. }));
        if runs().all(well) { Phase::Succeeded } else { Phase::Failed }
    }

    /// Why it is not ready, by the first probe that says so.
    fn unready(&self) -> Option<String> {
        self.pod.spec.all_containers().find_map(|container| {
            let run = self.latest_run(container).filter(|run| run.state == State::Running)?;
            let why = self.observed.verdicts.get(&run.id)?.unready.as_ref()?;
            Some(format!("container {} is not ready: {why}", container.name))
        })
    }

    fn problem(&self) -> Option<String> {
        if let Some(Eviction { message, .. }) = self.eviction {
            return Some(format!("Evicted: {message}"));
        }
        if let Some(doom) = self.doom {
            let failed = self.pod.spec.all_containers().find_map(|one| self.container_problem(one));
            return Some(failed.map_or(doom.name().to_owned(), |failed| format!("{}: {failed}", doom.name())));
        }
        let is_running = |one: &Container| {
            self.latest_run(one).is_some_and(|run| {
                run.state == State::Running
                    || self.is_init(one) && matches!(run.state, State::Exited { exit_code: 0, .. })
            })
        };
        // A job that failed may have done its work all the same, as when the runtime broke off before it answered.
        let failure = self.observed.failures.get(&self.pod.spec.key).filter(|failure| failure.uid == self.pod.uid);
        if let (Some(failure), false) = (failure, self.pod.spec.all_containers().all(is_running)) {
            return Some(failure.message.clone());
        }
        if self.own.is_empty() && self.waits_for_resolver() {
            return Some("waits for the network to name its name servers".to_owned());
        }
        self.pod.spec.all_containers().find_map(|container| self.container_problem(container))
    }

    fn container_problem(&self, container: &Container) -> Option<String> {
        let kind = if self.is_init(container) && !container.is_sidecar { "init container" } else { "container" };
        let name = format!("{kind} {}", container.name);
        if self.image_is_out_of_reach(container) {
            return Some(format!("image {} is not on this node, and imagePullPolicy is Never", container.image));
        }
        let run = self.latest_run(container)?;
        let State::Exited { started_at, exit_code, reason, message, .. } = &run.state else { return None };
        if started_at.is_none() && !message.is_empty() {
            return Some(format!("{name} cannot start: {message}"));
        }
        let why = if reason.is_empty() || reason == "Error" { String::new() } else { format!(" ({reason})") };
        let more = if message.is_empty() { String::new() } else { format!(": {message}") };
        match phase::after(self.policy(container), run)? {
            Next::Start { crashes, .. } => {
                (crashes > 1).then(|| format!("{name} ends again and again, with status {exit_code}{why}{more}"))
            }
            Next::Nothing => (*exit_code != 0).then(|| format!("{name} ended with status {exit_code}{why}{more}")),
        }
    }
}

fn ended(run: &Instance) -> Option<Ended> {
    let State::Exited { exit_code, reason, message, finished_at, .. } = &run.state else { return None };
    Some(Ended { exit_code: *exit_code, reason: reason.clone(), message: message.clone(), at: *finished_at })
}
