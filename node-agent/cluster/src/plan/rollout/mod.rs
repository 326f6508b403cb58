//! What a node does when its `NodeOS` asks for another release. The phases are derived at each pass:
//!
//! ```text
//!  Idle ──> Preparing ──> WaitingForWindow ──> WaitingForSlot ──> Draining ──> Rebooting ──> Verifying ──> Idle
//!              │                 (Prepared: by hand, or after a drain that failed)                │
//!              └──────────────────────────────> Failed <──────────────────────────────────────────┘ fell back
//! ```
//!
//! A node holds a slot from before its cordon until it runs what is asked for and is well. One that fell back keeps it, so that a bad
//! release halts the pool when all slots are so kept. Nothing is given back by time.

mod memory;
mod prepare;
mod settle;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::settle::settle;
use super::{
    drain::{Drain, drain},
    slots::{self, Choice, choose, pick},
    wish::{digest, wish},
};
use crate::model::{
    Cordon, Decision, DrainTimeoutPolicy, Facts, Holder, Identity, Look, Memory, Order, Phase, RebootPolicy, Resolved,
    Role, Seen, Slot, Step, Wish,
};

/// How often a node that waits for a slot looks at them: the last of a pool lose little, a thousand that wait cost 50 requests a second.
const SLOT_WAIT: Duration = Duration::from_secs(20);
/// How often it looks whether the pool has been given slots.
const NO_SLOTS_WAIT: Duration = Duration::from_secs(60);
/// How often it asks whether a holder still exists.
const HOLDER_WAIT: Duration = Duration::from_secs(300);
/// How long a reboot may take to begin. After that it is ordered once more.
const REBOOT_WAIT: Duration = Duration::from_secs(300);
/// How often a node looks again that waits for something which also wakes it.
const LONG_WAIT: Duration = Duration::from_secs(300);
/// So many letters of a holder's reason are told on by those who wait for it.
const REASON_LETTERS: usize = 120;
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

/// Which release `image` means: by its digest, by what the machine just found, or by what stands in status.
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
        return look(Phase::WaitingForSlot, "the slots of the pool cannot be read", Look::Slots);
    };
    let pool = &world.identity.pool;
    match choose(slots, world.identity, world.seen.gone.as_deref().unwrap_or_default()) {
        Choice::Has(slot) => empty(world, memory, wish, image, slot),
        Choice::HasTooMany(slot) => {
            does(Phase::WaitingForSlot, "it has two slots", Step::GiveSlotBack { slot: slot.clone() })
        }
        // What was done under it is undone first: a cordon counts against the pool that the slot is of.
        Choice::HasOthers(slot) => {
            let message = format!("it has a slot of the pool {} and is of {pool}", slot.pool);
            settle(world, memory, at(Phase::WaitingForSlot, message, Some(SLOT_WAIT)))
        }
        Choice::MayTake(slot) => {
            let message = format!("takes slot {}", slot.name);
            let reason = format!("{} upgrades to {image}", world.identity.name);
            does(Phase::WaitingForSlot, message, Step::TakeSlot { slot: slot.clone(), reason })
        }
        Choice::NoSlots => {
            let message = format!(
                "pool {pool} has no slots: make Leases with its label in ballast-system, as in pool-example.yaml"
            );
            at(Phase::WaitingForSlot, message, Some(NO_SLOTS_WAIT))
        }
        Choice::Full(holders) => wait_for_slot(world, memory, &holders),
    }
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

/// All slots are taken. Now and then it is asked whether one of the holders, another each time, still exists.
fn wait_for_slot(world: &World<'_>, memory: &Memory, holders: &[&Holder]) -> Decision {
    let is_due = memory.holders.is_none_or(|at| world.now.saturating_sub(at) >= HOLDER_WAIT);
    let turn = world.now.as_secs() / HOLDER_WAIT.as_secs();
    if let Some(holder) = holders.get(pick(&world.identity.name, turn, holders.len()))
        && is_due
        && world.seen.gone.is_none()
    {
        let message = format!("whether {} still exists cannot be seen", holder.name);
        return look(Phase::WaitingForSlot, message, Look::Holders(vec![(*holder).clone()]));
    }
    let names: Vec<&str> = holders.iter().map(|holder| holder.name.as_str()).take(3).collect();
    let more = if holders.len() > names.len() { ", …" } else { "" };
    // One of them may be stuck, and says why: nobody shall have to look for it.
    let slots = world.seen.slots.iter().flatten();
    let mut reasons = slots.filter(|slot| slot.holder.as_ref() == holders.first().copied()).map(|slot| &slot.reason);
    let reason = reasons.find(|reason| !reason.is_empty());
    let reason = reason.map(|reason| format!("; {} says: {}", names.first().unwrap_or(&""), cut(reason)));
    let (pool, names, reason) = (&world.identity.pool, names.join(", "), reason.unwrap_or_default());
    let message = format!("pool {pool}: all slots are taken, by {names}{more}{reason}");
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
        return reboot(world, image);
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
        return reboot(world, image);
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
        Drain::Done => reboot(world, image),
    }
}

/// No pod is left, and in this very pass the slot was seen to be ours.
fn reboot(world: &World<'_>, image: &str) -> Decision {
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

/// The slot that the node has, as far as slots were looked at.
fn held<'a>(world: &World<'a>) -> Option<&'a Slot> {
    slots::held(world.seen.slots.as_deref()?, world.identity)
}
