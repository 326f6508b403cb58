//! The phase of a pod, derived from its containers as Kubernetes does (pod lifecycle: phases, container states).

use std::collections::BTreeMap;

use super::{
    model::{Instance, RestartPolicy, Sandbox, State},
    restart_backoff::{self, Next},
};

/// The phase of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not all of its containers have been started.
    Pending,
    /// At least one container runs or will run again.
    Running,
    /// All containers ended well, and none runs again.
    Succeeded,
    /// All containers ended, at least one of them badly, and none runs again.
    Failed,
}

/// How a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerPhase {
    /// It is about to start, for the first time or again.
    Waiting,
    /// It runs.
    Running,
    /// It ended and does not run again.
    Exited,
}

/// The latest run of each container of a version of a pod.
pub(super) fn latest<'a>(sandboxes: &[&'a Sandbox]) -> BTreeMap<&'a str, (&'a Sandbox, &'a Instance)> {
    let mut latest: BTreeMap<&str, (&Sandbox, &Instance)> = BTreeMap::new();
    for (sandbox, instance) in sandboxes.iter().flat_map(|sandbox| sandbox.containers.iter().map(|one| (*sandbox, one)))
    {
        let newest = latest.get(instance.name.as_str()).is_none_or(|(_, other)| other.attempt < instance.attempt);
        if newest {
            latest.insert(&instance.name, (sandbox, instance));
        }
    }
    latest
}

/// What comes after an instance, if it ended.
pub(super) fn after(policy: RestartPolicy, instance: &Instance) -> Option<Next> {
    match &instance.state {
        State::Created | State::Running => None,
        State::Exited { started_at, finished_at, exit_code, .. } => {
            Some(restart_backoff::next(policy, *exit_code, instance.crashes, *started_at, *finished_at))
        }
    }
}

/// How the container is whose latest run is `instance`.
pub(super) fn container_phase(policy: RestartPolicy, instance: Option<&Instance>) -> ContainerPhase {
    match instance.map(|instance| (&instance.state, after(policy, instance))) {
        None | Some((State::Created, _) | (State::Exited { .. }, None | Some(Next::Start { .. }))) => {
            ContainerPhase::Waiting
        }
        Some((State::Running, _)) => ContainerPhase::Running,
        Some((State::Exited { .. }, Some(Next::Nothing))) => ContainerPhase::Exited,
    }
}
