//! From what the domains know to the status: a pure function, and the one place where each field is set.

use super::{
    boot::Boot,
    status::{Container, Deployment, Node, Os, Pod, Runtime, Status},
};
use crate::{
    health,
    pods::{
        phase::{ContainerPhase, Phase},
        plan::Status as PodStatus,
    },
    runtime,
    update::{self, model::State},
};

/// What the status is made of.
#[derive(Debug)]
pub struct Facts<'a> {
    /// `ID` of the OS.
    pub os_id: &'a str,
    /// `VERSION_ID` of the OS.
    pub os_version: &'a str,
    /// Who this node is.
    pub node: Node,
    /// The boot's figures, once it is READY.
    pub boot: Option<&'a Boot>,
    /// The runtime.
    pub runtime: &'a runtime::model::Observed,
    /// The node's health; None before it is looked at.
    pub health: Option<&'a health::model::Observed>,
    /// The releases; None before they are looked at.
    pub update: Option<&'a update::model::Observed>,
    /// The pods.
    pub pods: &'a [PodStatus],
    /// Manifests that are not followed, and what else went wrong.
    pub problems: Vec<String>,
}

/// The status that follows from `facts`.
pub fn status(facts: Facts<'_>) -> Status {
    let runtime = facts.runtime;
    let mut reasons: Vec<String> = runtime::plan::reason(runtime).into_iter().collect();
    reasons.extend(facts.health.map(health::plan::reasons).unwrap_or_default());
    reasons.extend(facts.problems);
    reasons.extend(facts.pods.iter().filter_map(|pod| pod.problem.clone()));
    let (name, version) = runtime.version.clone().unwrap_or_default();
    let booted = facts.update.and_then(|update| update.booted.as_ref());
    Status {
        os: Os {
            id: facts.os_id.to_owned(),
            version: facts.os_version.to_owned(),
            commit: booted.map(|booted| booted.commit.clone()),
            // Known once releases travel as OCI images.
            digest: None,
        },
        ready: runtime.is_ready() && facts.boot.is_some(),
        reasons,
        boot: facts.boot.cloned().unwrap_or_default(),
        node: facts.node,
        deployments: facts.update.map(update::plan::deployments).unwrap_or_default().iter().map(deployment).collect(),
        runtime: Runtime { name, version, ready: runtime.is_ready(), restarts: runtime.restarts },
        pods: facts.pods.iter().map(pod).collect(),
        clusters: Vec::new(),
    }
}

fn deployment(deployment: &update::model::Deployment) -> Deployment {
    Deployment {
        version: deployment.version.clone(),
        commit: deployment.id.commit.clone(),
        digest: None,
        booted: deployment.booted,
        next: deployment.next,
        state: match deployment.state {
            State::Trial => "trial",
            State::Good => "good",
            State::Bad => "bad",
            State::Unknown => "unknown",
        }
        .to_owned(),
    }
}

fn pod(pod: &PodStatus) -> Pod {
    let phase = match pod.phase {
        Phase::Pending => "Pending",
        Phase::Running => "Running",
        Phase::Succeeded => "Succeeded",
        Phase::Failed => "Failed",
    };
    let containers = pod.containers.iter().map(|(name, phase, restarts)| Container {
        name: name.clone(),
        state: match phase {
            ContainerPhase::Waiting => "waiting",
            ContainerPhase::Running => "running",
            ContainerPhase::Exited => "exited",
        }
        .to_owned(),
        restarts: *restarts,
    });
    Pod {
        name: pod.key.name.clone(),
        namespace: pod.key.namespace.clone(),
        phase: phase.to_owned(),
        containers: containers.collect(),
    }
}
