//! What the host's state calls for.

use std::time::SystemTime;

use super::{Observed, kubelet, releases::arguments, unix_secs};
use crate::{
    health,
    pods::{self, desired::Desired},
    runtime, storage,
    update::{self, model::Unattended},
};

/// What is to be done.
pub(super) struct Plan {
    pub(super) runtime: Option<runtime::model::Step>,
    pub(super) health: health::model::Verdict,
    pub(super) update: Option<update::model::Step>,
    pub(super) storage: Vec<storage::model::Step>,
    pub(super) pods: Option<pods::plan::Plan>,
    pub(super) kubelet: crate::kubelet::model::Plan,
}

/// What the host's state calls for: pure, as the domains' plans are that it is made of.
pub(super) fn plan(observed: &Observed, unattended: Unattended, now: SystemTime) -> Plan {
    let problem = runtime::plan::reason(&observed.runtime);
    let mut kubelet = kubelet::plan(observed, now);
    // It is not started anew while it is ended.
    kubelet.step = kubelet.step.filter(|_| !observed.is_ending);
    let unwell = kubelet::unwell(observed, &kubelet).filter(|_| !observed.is_ending);
    let runtime = health::model::Runtime {
        problem: problem.as_deref(),
        restarts: observed.runtime.restarts,
        kubelet: unwell.as_deref(),
    };
    let verdict = |health| health::plan::verdict(health, runtime, observed.settings().health.deadline);
    // Where a kubelet runs the pods, whoever else begins or ends one is in its way.
    // It is so until what was rendered for one is gone: it may run that long.
    let is_left = observed.kubelet.as_ref().is_some_and(kubelet::Observation::is_hosted);
    let is_hosted = kubelet::is_hosted(observed.settings()) || is_left;
    let pods = |(desired, found): &(Desired, pods::model::Observed)| match (is_hosted, observed.is_ending) {
        (true, _) => pods::plan::Plan::default(),
        (false, true) => pods::plan::end_all(desired, found, now),
        (false, false) => pods::plan::plan(desired, found, now),
    };
    Plan {
        runtime: runtime::plan::plan(&observed.runtime),
        health: observed.health.as_ref().map_or(health::model::Verdict::NotOnTrial, verdict),
        update: observed
            .update
            .as_ref()
            .and_then(|update| update::plan::plan(update, unattended, &arguments(observed.settings()), unix_secs(now))),
        storage: observed.storage.as_ref().map(storage::plan::plan).unwrap_or_default(),
        pods: observed.pods.as_ref().map(pods),
        kubelet,
    }
}
