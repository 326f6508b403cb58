//! How containers are ended: first their hooks, then those that others serve, then sidecars, the last one first. All of it is within one
//! grace period (kubelet: kuberuntime_termination_order.go).

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use super::{Plan, PodPlan, Step};
use crate::pods::{
    desired::Desired,
    manifest,
    model::{Instance, Key, Observed, Sandbox, Spec, State},
    probes::model::Hook,
};

/// A pod has no longer to end when the node goes down, as a kubelet's.
const LONGEST: Duration = Duration::from_secs(600);

/// A container that is to be ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// The runtime's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What is done before.
    pub hook: Option<Hook>,
    /// Those of lower numbers end first.
    pub turn: usize,
}

/// Ends everything of a sandbox, which was made for `spec`; None: as its copy of the manifest says. Its record goes last, so that an
/// interrupted end is seen and ended.
pub(super) fn tear_down(sandbox: &Sandbox, spec: Option<&Spec>) -> Vec<Step> {
    let mut steps = Vec::new();
    let kept = if spec.is_none() && running(sandbox).next().is_some() { kept_spec(sandbox) } else { None };
    steps.extend(stop(sandbox, spec.or(kept.as_ref()), |_| true));
    steps.push(Step::StopSandbox { id: sandbox.id.clone() });
    steps.push(Step::RemoveSandbox { id: sandbox.id.clone() });
    steps
}

/// Ends those of a sandbox's running containers that `is_meant` names.
pub(super) fn stop(sandbox: &Sandbox, spec: Option<&Spec>, is_meant: impl Fn(&str) -> bool) -> Option<Step> {
    let ends: Vec<End> = running(sandbox).filter(|one| is_meant(&one.name)).map(|one| end(one, spec)).collect();
    (!ends.is_empty()).then(|| stop_all(sandbox, ends, sandbox.grace))
}

/// Ends one container.
pub(super) fn stop_one(sandbox: &Sandbox, run: &Instance, spec: &Spec, grace: Duration) -> Step {
    stop_all(sandbox, vec![end(run, Some(spec))], grace)
}

fn stop_all(sandbox: &Sandbox, ends: Vec<End>, grace: Duration) -> Step {
    Step::StopContainers { ends, grace, address: sandbox.address.clone() }
}

fn running(sandbox: &Sandbox) -> impl Iterator<Item = &Instance> {
    sandbox.containers.iter().filter(|one| one.state == State::Running)
}

fn end(run: &Instance, spec: Option<&Spec>) -> End {
    let sidecars: Vec<&str> = spec.iter().flat_map(|spec| &spec.init_containers).map(|one| &*one.name).collect();
    let place = sidecars.iter().position(|name| *name == run.name);
    let hook = spec.and_then(|spec| spec.container(&run.name)).and_then(|one| one.lifecycle.pre_stop.clone());
    let turn = place.map_or(0, |place| sidecars.len() - place);
    End { id: run.id.clone(), name: run.name.clone(), hook, turn }
}

/// Ends all pods because the node goes down, and begins none: those of the lowest priority first, all of one priority at once. Their records and
/// volumes stay: after the boot they are the same pods.
pub fn end_all(desired: &Desired, observed: &Observed, now: SystemTime) -> Plan {
    let mut plan = Plan::default();
    for pod in desired.pods.values() {
        let of_pod: Vec<&Sandbox> = observed.sandboxes.iter().filter(|one| one.key == pod.spec.key).collect();
        plan.pods.push(PodPlan::new(pod, observed, now, &of_pod).status());
    }
    let all: Vec<(&Sandbox, i32)> = left(observed).map(|one| (one, priority(desired, one))).collect();
    let lowest = all.iter().map(|(_, priority)| *priority).min();
    let mut jobs: BTreeMap<&Key, (&str, Vec<Step>)> = BTreeMap::new();
    for (sandbox, _) in all.iter().filter(|(_, priority)| Some(*priority) == lowest) {
        let kept = spec(desired, sandbox).is_none().then(|| kept_spec(sandbox)).flatten();
        let (_, steps) = jobs.entry(&sandbox.key).or_insert((&sandbox.uid, Vec::new()));
        let stop = stop(sandbox, spec(desired, sandbox).or(kept.as_ref()), |_| true);
        steps.extend(stop.map(|mut step| {
            if let Step::StopContainers { grace, .. } = &mut step {
                *grace = (*grace).min(LONGEST);
            }
            step
        }));
        steps.push(Step::StopSandbox { id: sandbox.id.clone() });
    }
    for (key, (uid, steps)) in jobs {
        plan.add(key, uid, steps, observed, now);
    }
    plan
}

/// The pods that still run, and how long all of them may take to end.
pub fn left_to_end(desired: &Desired, observed: &Observed) -> (Vec<String>, Duration) {
    let mut graces: BTreeMap<i32, Duration> = BTreeMap::new();
    let mut names: Vec<String> = left(observed).map(|sandbox| sandbox.key.to_string()).collect();
    names.sort();
    names.dedup();
    for sandbox in left(observed) {
        let grace = graces.entry(priority(desired, sandbox)).or_default();
        *grace = sandbox.grace.min(LONGEST).max(*grace);
    }
    (names, graces.values().sum())
}

fn left(observed: &Observed) -> impl Iterator<Item = &Sandbox> {
    observed.sandboxes.iter().filter(|sandbox| sandbox.ready || running(sandbox).next().is_some())
}

fn spec<'a>(desired: &'a Desired, sandbox: &Sandbox) -> Option<&'a Spec> {
    desired.pods.get(&sandbox.key).filter(|pod| pod.uid == sandbox.uid).map(|pod| &pod.spec)
}

fn priority(desired: &Desired, sandbox: &Sandbox) -> i32 {
    let kept = || kept_spec(sandbox).map(|spec| spec.priority);
    spec(desired, sandbox).map(|spec| spec.priority).or_else(kept).unwrap_or_default()
}

/// What the sandbox was made for, by the copy of the manifest that the runtime keeps.
fn kept_spec(sandbox: &Sandbox) -> Option<Spec> {
    let pods = manifest::read(&sandbox.source, &sandbox.text).pods;
    pods.into_iter().map(|pod| pod.spec).find(|spec| spec.key == sandbox.key)
}
