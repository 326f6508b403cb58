//! Somebody on the machine wants it to go down: it is emptied first, as for a rollout, but without a slot and at any time, since who asked decides
//! when. If it stays after all, its cordon is taken away; if it goes down, that is done after its next boot, as after any.

use std::ops::ControlFlow;

use super::{Context, Drain, LONG_WAIT, at, does, fetch, next_of_drain};
use crate::model::{Cordon, Decision, Fetch, Memory, Phase, Step};

/// Whether it is to be emptied, or was and is to be as before.
pub(super) fn learn(context: &Context<'_>, memory: &mut Memory) {
    if context.facts.leaves {
        memory.leaves = true;
        memory.is_settled = false;
    } else if context.snapshot.node.as_ref().is_some_and(|node| node.cordon != Cordon::Ours) {
        memory.leaves = false;
    }
}

/// What is to be done for it; None: nothing.
pub(super) fn leave(context: &Context<'_>, memory: &Memory) -> Option<Decision> {
    if context.facts.leaves {
        return Some(empty(context, memory));
    }
    if !memory.leaves || !context.identity.role.has_node() {
        return None;
    }
    Some(match &context.snapshot.node {
        None => fetch(Phase::Draining, "its Node cannot be read", Fetch::Node),
        Some(node) => {
            let step = Step::Uncordon { resource_version: node.resource_version.clone() };
            does(Phase::Draining, "the node stays, and takes pods again", step)
        }
    })
}

fn empty(context: &Context<'_>, memory: &Memory) -> Decision {
    let done = |message: &str| Decision { is_empty: true, ..at(Phase::Draining, message, Some(LONG_WAIT)) };
    if !context.identity.role.has_node() {
        return done("it has no Node here, so no pods");
    }
    match next_of_drain(context, memory) {
        ControlFlow::Break(first) => first,
        ControlFlow::Continue(Drain::Evict(pods)) => does(Phase::Draining, "asks pods to go", Step::Evict { pods }),
        ControlFlow::Continue(Drain::Remove(pods)) => does(Phase::Draining, "pods end", Step::Remove { pods }),
        ControlFlow::Continue(Drain::Wait { message, wait }) => at(Phase::Draining, message, Some(wait)),
        ControlFlow::Continue(Drain::Done) => done("no pod is left; the node goes down"),
    }
}
