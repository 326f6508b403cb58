//! What a node does when its `NodeOS` asks for another release. The phases are derived at each pass:
//!
//! ```text
//!  Idle ──> Preparing ──> WaitingForWindow ──> WaitingForSlot ──> Draining ──> Rebooting ──> Verifying ──> Idle
//!              │                 (Prepared: by hand, or after a drain that failed)                │
//!              └──────────────────────────────> Failed <──────────────────────────────────────────┘ fell back
//! ```
//!
//! A node holds a slot from before its cordon until it runs what is asked for and is well. One that fell back keeps it, so that a bad
//! release halts the pool when all slots are so kept. Nothing is given back by time. Who holds a slot says so on a Lease of its own, and goes on
//! only in a pass that has seen nobody else there: of two that claim it, at least the later sees the other.

mod kubelet;
mod leave;
mod memory;
mod prepare;
mod settle;
#[cfg(test)]
mod tests;

use std::{ops::ControlFlow, time::Duration};

use self::{kubelet::kubelet, settle::settle};
use super::{
    desired_state::{desired_state, digest},
    drain::{Drain, drain},
    slots::{self, Choice, choose},
};
use crate::model::{
    Claim, ClusterSnapshot, Cordon, Decision, DesiredState, DrainTimeoutPolicy, Facts, Fetch, Identity, Memory, Order,
    Phase, RebootPolicy, Release, Resolved, Role, Slot, Step,
};

/// How often a node that waits for a slot fetches them: the last of a pool lose little, a thousand that wait cost 50 requests a second.
const SLOT_WAIT: Duration = Duration::from_secs(20);
/// How often it checks whether the pool has been given slots.
const NO_SLOTS_WAIT: Duration = Duration::from_secs(60);
/// How soon it checks again whether others have let go what it claims as well: they do so in their next pass.
const CONTEST_WAIT: Duration = Duration::from_secs(5);
/// Those who took a slot at once let go within this, but for the first. Who does not has had it before.
const CONTEST: Duration = Duration::from_secs(30);
/// How long a reboot may take to begin. After that it is ordered once more.
const REBOOT_WAIT: Duration = Duration::from_secs(300);
/// How often a node checks again that waits for something which also wakes it.
const LONG_WAIT: Duration = Duration::from_secs(300);
/// So many letters of a holder's reason are reported on by those who wait for it.
const REASON_LETTERS: usize = 120;
/// So many nodes are named in a message.
const SOME_NAMES: usize = 3;
/// Clocks may be set: a window is not slept through in one go.
const WINDOW_WAIT: Duration = Duration::from_secs(3600);

/// What a pass goes by.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// What the machine reports.
    pub facts: &'a Facts,
    /// What was read of the cluster.
    pub snapshot: &'a ClusterSnapshot,
    /// Who the node is there.
    pub identity: &'a Identity,
    /// Time since the membership began, by a clock that is never set.
    pub now: Duration,
    /// Seconds since 1970, for windows.
    pub unix_secs: i64,
}

/// One pass: what the node is at, and the one thing that is to be done now. A decision whose step is a fetch is not worth publishing, unless
/// the fetch fails.
pub fn pass(context: &Context<'_>, memory: &mut Memory) -> Decision {
    memory::learn(context, memory);
    let decision = decide(context, memory);
    memory::note(&decision, context.now, memory);
    Decision { slot: memory.slot.clone(), ..decision }
}

/// Whether the change from one to the other calls for a pass.
pub fn concerns(before: &Facts, after: &Facts) -> bool {
    let progress = |facts: &Facts| {
        let operation = facts.os.operation.clone()?;
        Some((prepare::tenths(&operation), operation.name, operation.phase))
    };
    let rest = |facts: &Facts| {
        let os = facts.os.clone();
        let os = crate::model::Os { operation: None, ..os };
        (facts.boot_id.clone(), facts.clock_is_set, facts.ready.clone(), os, facts.hosted.clone(), facts.leaves)
    };
    progress(before) != progress(after) || rest(before) != rest(after)
}

fn decide(context: &Context<'_>, memory: &Memory) -> Decision {
    // The first facts of all are none.
    let is_known = !context.facts.boot_id.is_empty();
    if !is_known {
        return Decision::default();
    }
    if memory.reboot.is_some_and(|at| context.now.saturating_sub(at) < REBOOT_WAIT) {
        return at(Phase::Rebooting, "the node goes down", Some(REBOOT_WAIT));
    }
    if let Some(decision) = leave::leave(context, memory) {
        return decision;
    }
    let Some(node_os) = context.snapshot.node_os.as_ref() else { return Decision::default() };
    let os = &context.facts.os;
    let desired_state = match desired_state(&node_os.spec) {
        Ok(desired_state) => desired_state,
        Err(wrong) => return settle(context, memory, at(Phase::Failed, wrong, None)),
    };
    let Some(image) = desired_state.image.as_deref() else {
        if let Some(decision) = kubelet(context, memory, &desired_state) {
            return decision;
        }
        let end = at(Phase::Idle, "spec.image asks for nothing", None);
        // One fetch is enough when nothing can come late any more: a thousand agents that begin at once have other things to ask.
        let left = (memory.touched + memory::LATE).saturating_sub(context.now);
        if left.is_zero() || memory.is_settled {
            return settle(context, memory, end);
        }
        return Decision { wait: Some(left), ..end };
    };
    let resolved = resolve(context, memory, image);
    let wanted = resolved.as_ref().map(|resolved| resolved.digest.as_str());
    let is_wanted = |digest: &str| !digest.is_empty() && wanted == Some(digest);
    // What somebody armed beside it would come with the next reboot, whoever asks for that. What is on trial is left alone.
    let is_settled = os.on_trial || os.next.as_ref().is_none_or(|next| is_wanted(&next.digest));
    let decision = if is_wanted(&os.booted.digest) && is_settled {
        let verified = settle::verify(context, memory);
        let is_well = verified.phase == Phase::Idle;
        is_well.then(|| kubelet(context, memory, &desired_state)).flatten().unwrap_or(verified)
    } else if let Some(failed) = os.failed.iter().find(|failed| is_wanted(&failed.digest)) {
        settle::stuck(context, memory, failed)
    } else if desired_state.is_paused {
        settle(context, memory, at(Phase::Paused, "spec.paused holds it", None))
    } else if os.next.as_ref().is_some_and(|next| is_wanted(&next.digest)) {
        reboot_in_turn(context, memory, &desired_state, image)
    } else {
        prepare::prepare(context, memory, image)
    };
    Decision { resolved, ..decision }
}

/// Which release `image` means: by its digest, by what the machine just found, or by what it found before.
fn resolve(context: &Context<'_>, memory: &Memory, image: &str) -> Option<Resolved> {
    if let Some(digest) = digest(image) {
        return Some(Resolved { image: image.to_owned(), digest: digest.to_owned() });
    }
    let known = context.snapshot.node_os.as_ref().and_then(|node_os| node_os.resolved.clone());
    if let Some(known) = known.filter(|known| known.image == image && !known.digest.is_empty()) {
        return Some(known);
    }
    let prepared = context.facts.os.prepared.as_ref();
    let prepared = prepared.filter(|prepared| prepared.image == image && prepared.order > memory.order_before)?;
    Some(Resolved { image: image.to_owned(), digest: prepared.digest.clone() })
}

/// The release boots next: from here to the reboot.
fn reboot_in_turn(context: &Context<'_>, memory: &Memory, desired_state: &DesiredState, image: &str) -> Decision {
    if desired_state.reboot == RebootPolicy::Manual {
        let message = "it boots next; spec.rebootPolicy leaves the reboot to somebody";
        return settle(context, memory, at(Phase::Prepared, message, None));
    }
    in_turn(context, memory, desired_state, Target::Release(image))
}

/// What a node is emptied for.
#[derive(Debug, Clone, Copy)]
enum Target<'a> {
    /// To reboot into what this image means.
    Release(&'a str),
    /// To start this version of the kubelet.
    Kubelet(&'a Release),
}

impl std::fmt::Display for Target<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Release(image) => formatter.write_str(image),
            Self::Kubelet(release) => write!(formatter, "kubelet {}", release.version),
        }
    }
}

/// From here to the end: window, slot, cordon, drain, and then what `target` says.
fn in_turn(context: &Context<'_>, memory: &Memory, desired_state: &DesiredState, target: Target<'_>) -> Decision {
    if let Some((message, wait)) = closed(context, desired_state) {
        return settle(context, memory, at(Phase::WaitingForWindow, message, Some(wait)));
    }
    if context.now < memory.drain.at {
        let message = format!("the drain was given up {} times: {}", memory.drain.failures, memory.drain.reason);
        return settle(context, memory, at(Phase::Prepared, message, Some(memory.drain.at - context.now)));
    }
    let Some(slots) = &context.snapshot.slots else {
        let is_fresh = memory.slot.is_some() || context.now < memory.touched + memory::LATE;
        return fetch(Phase::WaitingForSlot, "the slots of the pool cannot be read", Fetch::Slots { is_fresh });
    };
    let pool = &context.identity.pool;
    match choose(slots, context.identity) {
        Choice::Has(slot) => empty(context, memory, desired_state, target, slot),
        Choice::IsFirst(slot) if memory.was_alone || context.now < memory.touched + CONTEST => {
            let message = format!("slot {} is claimed by others, too: {}", slot.name, names(context, &slot.claims));
            at(Phase::WaitingForSlot, message, Some(CONTEST_WAIT))
        }
        // What was done under it is undone first: a cordon counts against the pool that the slot is of.
        Choice::IsFirst(slot) | Choice::IsLate(slot) => {
            let message = format!("slot {} was taken by {}", slot.name, names(context, &slot.claims));
            settle(context, memory, at(Phase::WaitingForSlot, message, Some(SLOT_WAIT)))
        }
        Choice::HasOthers(slot) => {
            let message = format!("it has the slot {}, which is none of the pool {pool}", slot.name);
            settle(context, memory, at(Phase::WaitingForSlot, message, Some(SLOT_WAIT)))
        }
        Choice::MayTake(slot) => {
            let Some(resource_version) = context.snapshot.lease.clone() else {
                return fetch(Phase::WaitingForSlot, "its own Lease cannot be read", Fetch::Lease);
            };
            let message = format!("takes slot {}", slot.name);
            let reason = format!("{} upgrades to {target}", context.identity.name);
            let step = Step::TakeSlot { slot: slot.name.clone(), resource_version, reason };
            does(Phase::WaitingForSlot, message, step)
        }
        Choice::NoSlots => {
            let message = format!(
                "pool {pool} has no slots: make Leases with its label in ballast-system, as in pool-example.yaml"
            );
            settle(context, memory, at(Phase::WaitingForSlot, message, Some(NO_SLOTS_WAIT)))
        }
        // No slot is ours: what an emptying that somebody else asked for has left is undone.
        Choice::Full(claims) => settle(context, memory, wait_for_slot(pool, &claims)),
    }
}

/// The others that claim a slot.
fn names(context: &Context<'_>, claims: &[Claim]) -> String {
    let others = claims.iter().map(|claim| claim.node.as_str()).filter(|name| *name != context.identity.name);
    others.take(SOME_NAMES).collect::<Vec<_>>().join(", ")
}

/// Why nothing is drained now, and for how long that holds.
fn closed(context: &Context<'_>, desired_state: &DesiredState) -> Option<(String, Duration)> {
    let windows = desired_state.windows.as_deref()?;
    if !context.facts.clock_is_set {
        return Some(("the clock is not set, so nobody knows whether spec.window is open".to_owned(), LONG_WAIT));
    }
    if windows.iter().any(|window| window.is_open(context.unix_secs)) {
        return None;
    }
    let next = windows.iter().map(|window| window.unchanged_until(context.unix_secs)).min()?;
    let wait = u64::try_from(next - context.unix_secs).map_or(WINDOW_WAIT, Duration::from_secs);
    Some(("spec.window is closed".to_owned(), wait.clamp(Duration::from_secs(1), WINDOW_WAIT)))
}

/// All slots are taken. One of those who have them may be stuck, and says why: nobody shall have to look for it.
fn wait_for_slot(pool: &str, claims: &[&Claim]) -> Decision {
    let names: Vec<&str> = claims.iter().map(|claim| claim.node.as_str()).take(SOME_NAMES).collect();
    let more = if claims.len() > names.len() { ", …" } else { "" };
    let first = claims.first().filter(|claim| !claim.reason.is_empty());
    let reason = first.map(|claim| format!("; {} says: {}", claim.node, cut(&claim.reason))).unwrap_or_default();
    let message = format!("pool {pool}: all slots are taken, by {}{more}{reason}", names.join(", "));
    at(Phase::WaitingForSlot, message, Some(SLOT_WAIT))
}

/// So much of what another node says as fits beside what this one does.
fn cut(reason: &str) -> String {
    match reason.char_indices().nth(REASON_LETTERS) {
        Some((end, _)) => format!("{}…", reason[..end].trim_end()),
        None => reason.to_owned(),
    }
}

/// What the drain is at, once no new pods come; before, what is to be done first.
fn next_of_drain(context: &Context<'_>, memory: &Memory) -> ControlFlow<Decision, Drain> {
    let Some(node) = &context.snapshot.node else {
        return ControlFlow::Break(fetch(Phase::Draining, "its Node cannot be read", Fetch::Node));
    };
    if node.cordon == Cordon::None {
        let step = Step::Cordon { resource_version: node.resource_version.clone() };
        return ControlFlow::Break(does(Phase::Draining, "no new pods come", step));
    }
    let Some(pods) = &context.snapshot.pods else {
        return ControlFlow::Break(fetch(Phase::Draining, "its pods cannot be read", Fetch::Pods));
    };
    ControlFlow::Continue(drain(pods, &memory.blocked, context.identity.role == Role::Kubelet, context.now))
}

/// The slot is ours: cordon, drain, and then what `target` says.
fn empty(
    context: &Context<'_>,
    memory: &Memory,
    desired_state: &DesiredState,
    target: Target<'_>,
    slot: &Slot,
) -> Decision {
    if !context.identity.role.has_node() {
        return go(context, memory, target, slot);
    }
    let next = match next_of_drain(context, memory) {
        ControlFlow::Continue(next) => next,
        ControlFlow::Break(first) => return first,
    };
    let is_late =
        memory.phase.0 == Phase::Draining && context.now.saturating_sub(memory.phase.1) >= desired_state.drain_timeout;
    if next == Drain::Done || (is_late && desired_state.after_timeout == DrainTimeoutPolicy::Force) {
        return go(context, memory, target, slot);
    }
    if is_late {
        let why = memory.blocked.values().next().map_or("pods did not end", |blocked| &blocked.message);
        let message = format!("its pods had {} s to go: {why}", desired_state.drain_timeout.as_secs());
        return Decision { gives_up: true, ..at(Phase::Prepared, message, Some(Duration::ZERO)) };
    }
    match next {
        Drain::Evict(pods) => {
            let message = format!("has slot {}, asks pods to go", slot.name);
            does(Phase::Draining, message, Step::Evict { pods })
        }
        Drain::Remove(pods) => {
            let message = format!("has slot {}, pods end", slot.name);
            does(Phase::Draining, message, Step::Remove { pods })
        }
        Drain::Wait { message, wait } => at(Phase::Draining, message, Some(wait)),
        Drain::Done => go(context, memory, target, slot),
    }
}

/// No pod is left, and in this very pass the slot was seen to be ours.
fn go(context: &Context<'_>, memory: &Memory, target: Target<'_>, slot: &Slot) -> Decision {
    // A change of the claim that was given up, and is on its way still, comes to nothing once the claim is in another state.
    let is_another = |claim: &&Claim| memory.reported_from.as_ref().is_some_and(|from| *from != claim.resource_version);
    let own = slot.claims.iter().find(|claim| claim.node == context.identity.name);
    if let Some(claim) = own.filter(|claim| !is_another(claim)) {
        let reason = format!("{} goes down for {target}", context.identity.name);
        return does(Phase::Draining, "no pod is left", Step::AnnotateSlot { claim: claim.clone(), reason });
    }
    let image = match target {
        Target::Release(image) => image,
        Target::Kubelet(release) => return kubelet::order(release),
    };
    if let Some(operation) = &context.facts.os.operation {
        let message = format!("{} has to end before the node reboots", operation.name);
        return at(Phase::Draining, message, Some(SLOT_WAIT));
    }
    let reason = format!("NodeOS {} asks for {image}", context.identity.name);
    does(Phase::Rebooting, "the node goes down", Step::Order(Order::Reboot { reason }))
}

/// Nothing is to be done until `wait` is over or something changes.
fn at(phase: Phase, message: impl Into<String>, wait: Option<Duration>) -> Decision {
    Decision { phase, message: message.into(), wait, ..Decision::default() }
}

/// `step` is to be done.
fn does(phase: Phase, message: impl Into<String>, step: Step) -> Decision {
    Decision { step: Some(step), ..at(phase, message, Some(LONG_WAIT)) }
}

/// More is to be read; `message` holds if that fails.
fn fetch(phase: Phase, message: impl Into<String>, fetch: Fetch) -> Decision {
    does(phase, message, Step::Fetch(fetch))
}

/// The slot that the node claims, as far as slots were looked at.
fn held<'a>(context: &Context<'a>) -> Option<(&'a Slot, &'a Claim)> {
    slots::held(context.snapshot.slots.as_deref()?, context.identity)
}
