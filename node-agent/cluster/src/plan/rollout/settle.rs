//! The ends of a rollout: it runs and is well, it fell back, or it is put off. What was taken is given back, first the cordon, then the slot.

use std::time::Duration;

use super::{Context, LONG_WAIT, at, does, fetch, held, memory::LATE};
use crate::model::{Claim, Cordon, Decision, FailedRelease, Fetch, Memory, Phase, Step};

/// What a node has, or has not, is never decided from a cached answer.
const FRESH: Fetch = Fetch::Slots { is_fresh: true };

/// How often a node is checked again whose release is not well yet.
const VERIFY_WAIT: Duration = Duration::from_secs(60);

/// `end`, but before it what the node has still taken is given back. A node that cannot run pods keeps it all.
pub(super) fn settle(context: &Context<'_>, memory: &Memory, end: Decision) -> Decision {
    undo(context, memory, end, false)
}

/// The release that is asked for runs.
pub(super) fn verify(context: &Context<'_>, memory: &Memory) -> Decision {
    let version = &context.facts.os.booted.version;
    let unwell = match &context.facts.ready {
        _ if context.facts.os.on_trial => Some(format!("{version} runs and has yet to prove itself")),
        Err(reason) if !memory.is_settled => Some(format!("{version} runs and is not ready: {reason}")),
        Ok(()) | Err(_) => None,
    };
    let Some(message) = unwell else {
        return settle(context, memory, at(Phase::Idle, format!("{version} runs"), None));
    };
    let end = at(Phase::Verifying, message, Some(VERIFY_WAIT));
    if memory.is_settled { end } else { watched(context, end) }
}

/// Once, so that status names the slot; and at each pass if the slot has to say why it is kept.
pub(super) fn watched(context: &Context<'_>, end: Decision) -> Decision {
    match held(context) {
        None if context.snapshot.slots.is_none() => Decision { step: Some(Step::Fetch(FRESH)), ..end },
        Some((_, claim)) => report(end, claim),
        None => end,
    }
}

/// The release that is asked for failed on this node: the old one serves, but the slot is kept, and says why.
pub(super) fn stuck(context: &Context<'_>, memory: &Memory, failed: &FailedRelease) -> Decision {
    let message = format!(
        "{} failed here: {}; \"ballast allow\" on the node, or another spec.image, tries again",
        failed.version, failed.reason
    );
    undo(context, memory, at(Phase::Failed, message, Some(LONG_WAIT)), true)
}

/// The kubelet that is asked for failed on this node: the one before serves, and the slot is kept as for a release.
pub(super) fn stuck_kubelet(context: &Context<'_>, memory: &Memory, failed: &FailedRelease) -> Decision {
    let message = format!(
        "kubelet {} failed here: {}; another spec.kubelet.image, or another [kubelet] in the node's settings, tries again",
        failed.version, failed.reason
    );
    undo(context, memory, at(Phase::Failed, message, Some(LONG_WAIT)), true)
}

fn undo(context: &Context<'_>, memory: &Memory, end: Decision, keeps_slot: bool) -> Decision {
    let is_well = context.facts.ready.is_ok() && !context.facts.os.on_trial;
    if memory.is_settled || !is_well {
        return end;
    }
    if context.identity.role.has_node() {
        match &context.snapshot.node {
            None => return Decision { step: Some(Step::Fetch(Fetch::Node)), ..end },
            Some(node) if node.cordon == Cordon::Ours => {
                let step = Step::Uncordon { resource_version: node.resource_version.clone() };
                return Decision { step: Some(step), ..end };
            }
            Some(_) => {}
        }
    }
    match held(context) {
        None if context.snapshot.slots.is_none() => fetch(end.phase, end.message, FRESH),
        Some((_, claim)) if keeps_slot => report(end, claim),
        Some((_, claim)) => does(end.phase, end.message, Step::GiveSlotBack { claim: claim.clone() }),
        // Looked at once more, when nothing can come late any more.
        None => Decision { wait: Some(end.wait.map_or(LATE, |wait| wait.min(LATE))), ..end },
    }
}

/// The claim says what `end` says.
fn report(end: Decision, claim: &Claim) -> Decision {
    if claim.reason == end.message {
        return end;
    }
    Decision { step: Some(Step::AnnotateSlot { claim: claim.clone(), reason: end.message.clone() }), ..end }
}
