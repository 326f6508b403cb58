//! How containers are ended: first their hooks, then those that others serve, then sidecars, the last one first. All of it is within one
//! grace period (kubelet: kuberuntime_termination_order.go).

use std::time::Duration;

use super::Step;
use crate::pods::{
    manifest,
    model::{Instance, Sandbox, Spec, State},
    probes::model::Hook,
};

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

/// What the sandbox was made for, by the copy of the manifest that the runtime keeps.
fn kept_spec(sandbox: &Sandbox) -> Option<Spec> {
    let pods = manifest::read(&sandbox.source, &sandbox.text).pods;
    pods.into_iter().map(|pod| pod.spec).find(|spec| spec.key == sandbox.key)
}
