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

mod memory;
mod prepare;
mod settle;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::settle::settle;
use super::{
    drain::{Drain, drain},
    slots::{self, Choice, choose},
    wish::{digest, wish},
};
use crate::model::{
    Claim, Cordon, Decision, DrainTimeoutPolicy, Facts, Identity, Look, Memory, Order, Phase, RebootPolicy, Resolved,
    Role, Seen, Slot, Step, Wish,
};

/// How often a node that waits for a slot looks at them: the last of a pool lose little, a thousand that wait cost 50 requests a second.
const SLOT_WAIT: Duration = Duration::from_secs(20);
/// How often it looks whether the pool has been given slots.
const NO_SLOTS_WAIT: Duration = Duration::from_secs(60);
/// How soon it looks again whether others have let go what it claims as well: they do so in their next pass.
const CONTEST_WAIT: Duration = Duration::from_secs(5);
/// Those who took a slot at once let go within this, but for the first. Who does not has had it before.
const CONTEST: Duration = Duration::from_secs(30);
/// How long a reboot may take to begin. After that it is ordered once more.
const REBOOT_WAIT: Duration = Duration::from_secs(300);
/// How often a node looks again that waits for something which also wakes it.
const LONG_WAIT: Duration = Duration::from_secs(300);
/// So many letters of a holder's reason are told on by those who wait for it.
const REASON_LETTERS: usize = 120;
/// So many nodes are named in a message.
const SOME_NAMES: usize = 3;
/// Clocks may be set: a window is not slept through in one go.
const WINDOW_WAIT: Duration = Duration::from_secs(3600);

/// What a pass goes by.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// What the machine tells.
    pub facts: &'a Facts,
    /// What was read of the cluster.
    pub seen: &'a Seen,
    /// Who the node is there.
    pub identity: &'a Identity,
    /// Time since the membership began, by a clock that is never set.
    pub now: Duration,
    /// Seconds since 1970, for windows.
    pub unix_secs: i64,
}

/// One pass: what the node is at, and the one thing that is to be done now. A decision whose step is a look is not worth publishing, unless
/// the look fails.
pub fn pass(world: &World<'_>, memory: &mut Memory) -> Decision {
    memory::learn(world, memory);
    let decision = decide(world, memory);
    memory::note(&decision, world.now, memory);
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
        (facts.boot_id.clone(), facts.clock_is_set, facts.ready.clone(), crate::model::Os { operation: None, ..os })
    };
    progress(before) != progress(after) || rest(before) != rest(after)
}

fn decide(world: &World<'_>, memory: &Memory) -> Decision {
    // The first facts of all are none.
    let is_known = !world.facts.boot_id.is_empty();
    let Some(node_os) = world.seen.node_os.as_ref().filter(|_| is_known) else { return Decision::default() };
    let os = &world.facts.os;
    if memory.reboot.is_some_and(|at| world.now.saturating_sub(at) < REBOOT_WAIT) {
        return at(Phase::Rebooting, "the node goes down", Some(REBOOT_WAIT));
    }
    let wish = match wish(&node_os.spec) {
        Ok(wish) => wish,
        Err(wrong) => return settle(world, memory, at(Phase::Failed, wrong, None)),
    };
    let Some(image) = wish.image.as_deref() else {
        let end = at(Phase::Idle, "spec.image asks for nothing", None);
        // One look is enough when nothing can come late any more: a thousand agents that begin at once have other things to ask.
        let left = (memory.touched + memory::LATE).saturating_sub(world.now);
        if left.is_zero() || memory.is_settled {
            return settle(world, memory, end);
        }
        return Decision { wait: Some(left), ..end };
    };
    let resolved = resolve(world, memory, image);
    let wanted = resolved.as_ref().map(|resolved| resolved.digest.as_str());
    let is_wanted = |digest: &str| !digest.is_empty() && wanted == Some(digest);
    // What somebody armed beside it would come with the next reboot, whoever asks for that. What is on trial is left alone.
    let stays = os.on_trial || os.next.as_ref().is_none_or(|next| is_wanted(&next.digest));
    let decision = if is_wanted(&os.booted.digest) && stays {
        settle::verify(world, memory)
    } else if let Some(denied) = os.denied.iter().find(|denied| is_wanted(&denied.digest)) {
        settle::stuck(world, memory, denied)
    } else if wish.is_paused {
        settle(world, memory, at(Phase::Paused, "spec.paused holds it", None))
    } else if os.next.as_ref().is_some_and(|next| is_wanted(&next.digest)) {
        reboot_in_turn(world, memory, &wish, image)
    } else {
        prepare::prepare(world, memory, image)
    };
    Decision { resolved, ..decision }
}

/// Which release `image` means: by its digest, by what the machine just found, or by what it found before.
fn resolve(world: &World<'_>, memory: &Memory, image: &str) -> Option<Resolved> {
    if let Some(digest) = digest(image) {
        return Some(Resolved { image: image.to_owned(), digest: digest.to_owned() });
    }
    let known = world.seen.node_os.as_ref().and_then(|node_os| node_os.resolved.clone());
    if let Some(known) = known.filter(|known| known.image == image && !known.digest.is_empty()) {
        return Some(known);
    }
    let prepared = world.facts.os.prepared.as_ref();
    let prepared = prepared.filter(|prepared| prepared.image == image && prepared.order > memory.order_before)?;
    Some(Resolved { image: image.to_owned(), digest: prepared.digest.clone() })
}

/// The release boots next: from here to the reboot.
fn reboot_in_turn(world: &World<'_>, memory: &Memory, wish: &Wish, image: &str) -> Decision {
    if wish.reboot == RebootPolicy::Manual {
        let message = "it boots next; spec.rebootPolicy leaves the reboot to somebody";
        return settle(world, memory, at(Phase::Prepared, message, None));
    }
    if let Some((message, wait)) = closed(world, wish) {
        return settle(world, memory, at(Phase::WaitingForWindow, message, Some(wait)));
    }
    if world.now < memory.drain.at {
        let message = format!("the drain was given up {} times: {}", memory.drain.failures, memory.drain.reason);
        return settle(world, memory, at(Phase::Prepared, message, Some(memory.drain.at - world.now)));
    }
    let Some(slots) = &world.seen.slots else {
        let is_fresh = memory.slot.is_some() || world.now < memory.touched + memory::LATE;
        return look(Phase::WaitingForSlot, "the slots of the pool cannot be read", Look::Slots { is_fresh });
    };
    let pool = &world.identity.pool;
    match choose(slots, world.identity) {
        Choice::Has(slot) => empty(world, memory, wish, image, slot),
        Choice::IsFirst(slot) if memory.was_alone || world.now < memory.touched + CONTEST => {
            let message = format!("slot {} is claimed by others, too: {}", slot.name, names(world, &slot.claims));
            at(Phase::WaitingForSlot, message, Some(CONTEST_WAIT))
        }
        // What was done under it is undone first: a cordon counts against the pool that the slot is of.
        Choice::IsFirst(slot) | Choice::IsLate(slot) => {
            let message = format!("slot {} was taken by {}", slot.name, names(world, &slot.claims));
            settle(world, memory, at(Phase::WaitingForSlot, message, Some(SLOT_WAIT)))
        }
        Choice::HasOthers(slot) => {
            let message = format!("it has the slot {}, which is none of the pool {pool}", slot.name);
            settle(world, memory, at(Phase::WaitingForSlot, message, Some(SLOT_WAIT)))
        }
        Choice::MayTake(slot) => {
            let Some(resource_version) = world.seen.lease.clone() else {
                return look(Phase::WaitingForSlot, "its own Lease cannot be read", Look::Lease);
            };
            let message = format!("takes slot {}", slot.name);
            let reason = format!("{} upgrades to {image}", world.identity.name);
            let step = Step::TakeSlot { slot: slot.name.clone(), resource_version, reason };
            does(Phase::WaitingForSlot, message, step)
        }
        Choice::NoSlots => {
            let message = format!(
                "pool {pool} has no slots: make Leases with its label in ballast-system, as in pool-example.yaml"
            );
            at(Phase::WaitingForSlot, message, Some(NO_SLOTS_WAIT))
        }
        Choice::Full(claims) => wait_for_slot(pool, &claims),
    }
}

/// The others that claim a slot.
fn names(world: &World<'_>, claims: &[Claim]) -> String {
    let others = claims.iter().map(|claim| claim.node.as_str()).filter(|name| *name != world.identity.name);
    others.take(SOME_NAMES).collect::<Vec<_>>().join(", ")
}

/// Why nothing is drained now, and for how long that holds.
fn closed(world: &World<'_>, wish: &Wish) -> Option<(String, Duration)> {
    let windows = wish.windows.as_deref()?;
    if !world.facts.clock_is_set {
        return Some(("the clock is not set, so nobody knows whether spec.window is open".to_owned(), LONG_WAIT));
    }
    if windows.iter().any(|window| window.is_open(world.unix_secs)) {
        return None;
    }
    let next = windows.iter().map(|window| window.unchanged_until(world.unix_secs)).min()?;
    let wait = u64::try_from(next - world.unix_secs).map_or(WINDOW_WAIT, Duration::from_secs);
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

/// The slot is ours: cordon, drain, reboot.
fn empty(world: &World<'_>, memory: &Memory, wish: &Wish, image: &str, slot: &Slot) -> Decision {
    if world.identity.role == Role::ReportOnly {
        return reboot(world, memory, image, slot);
    }
    let Some(node) = &world.seen.node else {
        return look(Phase::Draining, "its Node cannot be read", Look::Node);
    };
    if node.cordon == Cordon::None {
        let step = Step::Cordon { resource_version: node.resource_version.clone() };
        return does(Phase::Draining, "no new pods come", step);
    }
    let Some(pods) = &world.seen.pods else {
        return look(Phase::Draining, "its pods cannot be read", Look::Pods);
    };
    let next = drain(pods, &memory.blocked, world.now);
    let is_late = memory.phase.0 == Phase::Draining && world.now.saturating_sub(memory.phase.1) >= wish.drain_timeout;
    if next == Drain::Done || (is_late && wish.after_timeout == DrainTimeoutPolicy::Force) {
        return reboot(world, memory, image, slot);
    }
    if is_late {
        let why = memory.blocked.values().next().map_or("pods did not end", |blocked| &blocked.message);
        let message = format!("its pods had {} s to go: {why}", wish.drain_timeout.as_secs());
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
        Drain::Done => reboot(world, memory, image, slot),
    }
}

/// No pod is left, and in this very pass the slot was seen to be ours.
fn reboot(world: &World<'_>, memory: &Memory, image: &str, slot: &Slot) -> Decision {
    // A change of the claim that was given up, and is on its way still, comes to nothing once the claim is in another state.
    let is_another = |claim: &&Claim| memory.told_from.as_ref().is_some_and(|from| *from != claim.resource_version);
    let own = slot.claims.iter().find(|claim| claim.node == world.identity.name);
    if let Some(claim) = own.filter(|claim| !is_another(claim)) {
        let reason = format!("{} goes down for {image}", world.identity.name);
        return does(Phase::Draining, "no pod is left", Step::TellSlot { claim: claim.clone(), reason });
    }
    if let Some(operation) = &world.facts.os.operation {
        let message = format!("{} has to end before the node reboots", operation.name);
        return at(Phase::Draining, message, Some(SLOT_WAIT));
    }
    let reason = format!("NodeOS {} asks for {image}", world.identity.name);
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
fn look(phase: Phase, message: impl Into<String>, look: Look) -> Decision {
    does(phase, message, Step::Look(look))
}

/// The slot that the node claims, as far as slots were looked at.
fn held<'a>(world: &World<'a>) -> Option<(&'a Slot, &'a Claim)> {
    slots::held(world.seen.slots.as_deref()?, world.identity)
}
