//! Another minor version of the kubelet, in the same slots as releases: a kubelet of another minor version may not find what the one before it
//! left of pods, so the node is emptied first. A patch needs none of it.

use std::time::Duration;

use super::{Context, Target, at, does, in_turn, settle};
use crate::model::{Decision, DesiredState, Memory, Order, Phase, Release, Step};

/// How often a node looks again whose kubelet is not well yet; the machine wakes it as well.
const VERIFY_WAIT: Duration = Duration::from_secs(60);

/// An order after which the version still waits is given once more: the agent may have been restarted.
const LOST: Duration = Duration::from_secs(60);

/// What is to be done for the kubelet; None: nothing.
pub(super) fn kubelet(context: &Context<'_>, memory: &Memory, desired_state: &DesiredState) -> Option<Decision> {
    let hosted = context.facts.hosted.as_ref()?;
    if let Some(failed) = &hosted.stuck {
        return Some(settle::stuck_kubelet(context, memory, failed));
    }
    let Some(waits) = &hosted.waits else {
        let runs = hosted.runs.as_ref().filter(|_| hosted.on_trial && !memory.is_settled)?;
        let message = format!("kubelet {} runs and has yet to prove itself", runs.version);
        return Some(settle::watched(context, at(Phase::Verifying, message, Some(VERIFY_WAIT))));
    };
    if desired_state.is_paused {
        return Some(settle::settle(context, memory, at(Phase::Paused, "spec.paused holds it", None)));
    }
    let ordered = memory.kubelet.as_ref().filter(|(digest, _)| *digest == waits.digest);
    let left = ordered.map(|(_, at)| LOST.saturating_sub(context.now.saturating_sub(*at)));
    if let Some(left) = left.filter(|left| !left.is_zero()) {
        return Some(at(Phase::Verifying, format!("kubelet {} is being started", waits.version), Some(left)));
    }
    Some(in_turn(context, memory, desired_state, Target::Kubelet(waits)))
}

/// No pod is left, and in this very pass the slot was seen to be ours.
pub(super) fn order(waits: &Release) -> Decision {
    let step = Step::Order(Order::Kubelet { digest: waits.digest.clone() });
    does(Phase::Verifying, format!("kubelet {} is being started", waits.version), step)
}
