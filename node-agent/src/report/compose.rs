//! From what the domains know to the status: a pure function, and the one place where each field is set.

use std::time::SystemTime;

use ballast_types::GoingDown;

use super::{
    boot::Boot,
    releases::{Operation, Release, Releases},
    status::{
        Api, Cluster, Container, Deployment, Disk, Ended, FailedKubelet, Kubelet, Node, Os, Pod, Runtime, Status,
    },
};
use crate::{
    cluster::{
        self,
        model::{Report, State as Membership},
    },
    health, kubelet,
    pods::{
        self,
        phase::{ContainerPhase, Phase},
        plan::{Role, Status as PodStatus},
    },
    runtime,
    settings::model::Sources,
    update::{
        self,
        model::{Command, Progress as UpdateProgress, State},
    },
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
    /// The room on /var.
    pub disk: pods::disk::model::DiskUse,
    /// What the memberships of clusters report.
    pub clusters: &'a [Report],
    /// The kubelet; None where none is wanted.
    pub kubelet: Option<kubelet::model::Shown<'a>>,
    /// Where the settings are from.
    pub settings: Sources,
    /// Where operators elsewhere reach it.
    pub api: Option<Api>,
    /// Whether it is about to go down.
    pub going_down: Option<GoingDown>,
    /// Manifests that are not followed, and what else went wrong.
    pub problems: Vec<String>,
    /// The time, in seconds since 1970.
    pub now: u64,
}

/// The status that follows from `facts`.
pub fn status(facts: Facts<'_>) -> Status {
    let runtime = facts.runtime;
    let mut reasons: Vec<String> = runtime::plan::reason(runtime).into_iter().collect();
    reasons.extend(facts.health.map(health::plan::reasons).unwrap_or_default());
    reasons.extend(facts.update.map(|update| update::plan::reasons(update, facts.now)).unwrap_or_default());
    reasons.extend(facts.problems);
    reasons.extend(facts.pods.iter().filter_map(|pod| pod.problem.clone()));
    reasons.extend(facts.clusters.iter().flat_map(cluster::plan::reasons));
    let (name, version) = runtime.version.clone().unwrap_or_default();
    let booted = facts.update.and_then(|update| update.booted.as_ref());
    Status {
        os: Os {
            id: facts.os_id.to_owned(),
            version: facts.os_version.to_owned(),
            commit: booted.map(|booted| booted.commit().to_owned()),
            digest: facts.update.and_then(update::plan::booted_digest).map(ToString::to_string),
        },
        ready: runtime.is_ready() && facts.boot.is_some(),
        reasons,
        boot: facts.boot.cloned().unwrap_or_default(),
        node: facts.node,
        deployments: facts.update.map(update::plan::deployments).unwrap_or_default().iter().map(deployment).collect(),
        runtime: Runtime { name, version, ready: runtime.is_ready(), restarts: runtime.restarts },
        pods: facts.pods.iter().map(pod).collect(),
        disk: disk(facts.disk),
        clusters: facts.clusters.iter().map(cluster).collect(),
        kubelet: facts.kubelet.map(hosted),
        settings: facts.settings,
        api: facts.api,
        going_down: facts.going_down,
    }
}

fn deployment(deployment: &update::model::Deployment) -> Deployment {
    Deployment {
        version: deployment.version.clone(),
        commit: deployment.id.commit().to_owned(),
        digest: deployment.digest.as_ref().map(ToString::to_string),
        booted: deployment.booted,
        next: deployment.next,
        state: state(deployment.state).to_owned(),
    }
}

/// What the releases and the operation that runs look like to `ballast releases`.
pub fn releases(update: Option<&update::model::Observed>, running: Option<(&Command, UpdateProgress)>) -> Releases {
    let release = |one: update::model::Deployment| Release {
        digest: one.digest.map(|digest| digest.to_string()),
        version: one.version,
        commit: one.id.commit().to_owned(),
        image: one.image,
        booted: one.booted,
        next: one.next,
        last_good: one.last_good,
        pinned: one.pinned,
        state: state(one.state).to_owned(),
    };
    Releases {
        releases: update.map(update::plan::deployments).unwrap_or_default().into_iter().map(release).collect(),
        failed: update.map(|update| update.memory.failed.clone()).unwrap_or_default(),
        operation: running.map(|(command, progress)| Operation { command: command.name().to_owned(), progress }),
    }
}

fn state(state: State) -> &'static str {
    match state {
        State::Trial => "trial",
        State::Good => "good",
        State::Failed => "failed",
        State::Unknown => "unknown",
    }
}

fn cluster(report: &Report) -> Cluster {
    let (state, since, reason) = match &report.state {
        Membership::Off => ("off", None, None),
        Membership::WaitingForClock => ("waiting-for-clock", None, Some("the clock is not set".to_owned())),
        Membership::Joining => ("joining", None, None),
        Membership::Connected => ("connected", None, None),
        Membership::Unreachable { since, reason } => ("unreachable", Some(*since), Some(reason.clone())),
        Membership::Refused { reason } => ("refused", None, Some(reason.clone())),
    };
    Cluster {
        name: report.name.clone(),
        role: report.role.name().to_owned(),
        node: report.node.clone(),
        state: state.to_owned(),
        server: report.server.clone(),
        since,
        reason: reason.or_else(|| report.problems.first().cloned()),
        certificate_until: report.certificate_until,
        rollout: report.rollout.clone(),
        traffic: report.traffic,
    }
}

fn hosted(shown: kubelet::model::Shown<'_>) -> Kubelet {
    let failed = shown.memory.failed.iter().map(|failed| FailedKubelet {
        version: failed.version.clone(),
        digest: failed.digest.clone(),
        reason: failed.reason.clone(),
        at: failed.at,
    });
    Kubelet {
        version: shown.status.runs.as_ref().map(|runs| runs.version.clone()),
        digest: shown.status.runs.as_ref().map(|runs| runs.digest.clone()),
        state: shown.status.state.name().to_owned(),
        next: shown.status.waits.as_ref().map(|waits| waits.version.clone()),
        restarts: shown.unit.map_or(0, |unit| unit.restarts),
        failed: failed.collect(),
    }
}

fn disk(disk_use: pods::disk::model::DiskUse) -> Disk {
    Disk {
        total_bytes: disk_use.room.bytes,
        available_bytes: disk_use.room.available_bytes,
        pressure: disk_use.is_short,
        images_removed: disk_use.images_removed,
        evictions: disk_use.evictions,
    }
}

fn pod(pod: &PodStatus) -> Pod {
    let phase = match pod.phase {
        Phase::Pending => "Pending",
        Phase::Running => "Running",
        Phase::Succeeded => "Succeeded",
        Phase::Failed => "Failed",
    };
    let ended = |ended: &pods::plan::Ended| Ended {
        exit_code: ended.exit_code,
        reason: ended.reason.clone(),
        message: ended.message.clone(),
        at: unix_secs(ended.at),
    };
    let containers = pod.containers.iter().map(|one| Container {
        name: one.name.clone(),
        role: match one.role {
            Role::Main => "main",
            Role::Init => "init",
            Role::Sidecar => "sidecar",
        }
        .to_owned(),
        ready: one.is_ready,
        started: one.is_started,
        next_start_at: one.next_start.map(unix_secs),
        state: match one.phase {
            ContainerPhase::Waiting => "waiting",
            ContainerPhase::Running => "running",
            ContainerPhase::Exited => "exited",
        }
        .to_owned(),
        restarts: one.restarts,
        ended: one.ended.as_ref().map(ended),
        last_ended: one.last_ended.as_ref().map(ended),
    });
    let prefix = format!("pod {}: ", pod.key);
    let message = pod.problem.as_ref().map(|problem| problem.strip_prefix(&prefix).unwrap_or(problem).to_owned());
    Pod {
        name: pod.key.name.clone(),
        namespace: pod.key.namespace.clone(),
        phase: phase.to_owned(),
        ready: pod.is_ready,
        reason: pod.reason.map(str::to_owned),
        message: message.or_else(|| pod.unready.clone()),
        ip: Some(pod.address.clone()).filter(|address| !address.is_empty()),
        started_at: pod.since.map(unix_secs),
        containers: containers.collect(),
        without_effect: pod.notes.clone(),
    }
}

fn unix_secs(at: SystemTime) -> u64 {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
