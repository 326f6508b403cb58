//! What is remembered from pass to pass.

use std::time::Duration;

use ballast_client::backoff::doubled;

use super::{Context, held, leave};
use crate::model::{Cordon, Decision, Memory, Order, Phase, Retry, Step};

/// How long until a fetch that failed is tried again: at first, at most.
const PREPARE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(1800));
/// A release that was refused is tried again this often: somebody may have allowed it, or added a key.
const REFUSED: Duration = Duration::from_secs(3600);
/// How long until a drain that was given up is tried again: at first, at most.
const DRAIN: (Duration, Duration) = (Duration::from_secs(300), Duration::from_secs(3600));
/// An API server ends no request later than this after the client gave it up (its own limit is a minute).
pub(super) const LATE: Duration = Duration::from_secs(90);

/// What facts and fetches say of what was done before.
pub(super) fn learn(context: &Context<'_>, memory: &mut Memory) {
    let os = &context.facts.os;
    let image = context.snapshot.node_os.as_ref().and_then(|node_os| node_os.spec.image.clone());
    if memory.about.0 != context.facts.boot_id {
        let numbers = [os.prepared.as_ref().map(|done| done.order), os.failure.as_ref().map(|failed| failed.order)];
        let last_order = numbers.into_iter().flatten().fold(memory.last_order, u64::max);
        *memory = Memory { last_order, touched: context.now, ..Memory::default() };
    }
    if memory.about.1 != image {
        memory.order = None;
        memory.order_before = memory.last_order;
        memory.prepare = Retry::default();
        memory.drain = Retry::default();
        memory.blocked.clear();
    }
    let waits = context.facts.hosted.as_ref().and_then(|hosted| hosted.waits.as_ref()).map(|waits| &waits.digest);
    if waits.is_some() && memory.waits.as_ref() != waits {
        memory.drain = Retry::default();
        memory.blocked.clear();
    }
    memory.waits = waits.cloned();
    memory.about = (context.facts.boot_id.clone(), image);
    outcome(context, memory);
    leave::learn(context, memory);
    if context.snapshot.slots.is_some() {
        let own = held(context).map(|(slot, _)| slot);
        memory.slot = own.map(|slot| slot.name.clone());
        memory.was_alone = own.is_some_and(|slot| slot.claims.len() == 1 || memory.was_alone);
        let has_cordon = context.snapshot.node.as_ref().map(|node| node.cordon == Cordon::Ours);
        let is_free = has_cordon == Some(false) || !context.identity.role.has_node();
        memory.is_settled |= is_free && memory.slot.is_none() && context.now >= memory.touched + LATE;
    }
}

/// What came of the order to prepare.
fn outcome(context: &Context<'_>, memory: &mut Memory) {
    let os = &context.facts.os;
    let Some((order, _)) = memory.order else { return };
    let is_ours = |number: u64, image: &str| number == order && memory.about.1.as_deref().map(str::trim) == Some(image);
    if let Some(failed) = os.failure.as_ref().filter(|failed| is_ours(failed.order, &failed.image)) {
        fail(memory, context.now, failed.message.clone(), failed.refused);
    } else if let Some(done) = os.prepared.as_ref().filter(|done| is_ours(done.order, &done.image)) {
        let boots = [Some(&os.booted), os.next.as_ref()].into_iter().flatten().any(|one| one.digest == done.digest);
        let known = context.snapshot.node_os.as_ref().and_then(|node_os| node_os.resolved.as_ref());
        let known = known.filter(|known| known.image == done.image && !known.digest.is_empty());
        if let Some(known) = known.filter(|known| known.digest != done.digest) {
            let (image, was, is) = (&done.image, &known.digest, &done.digest);
            let reason = format!("{image} meant {was} and means {is} by now; spec.image with a digest says which");
            return fail(memory, context.now, reason, true);
        }
        match boots {
            true => memory.order = None,
            false => fail(memory, context.now, "it was prepared and does not boot next".to_owned(), false),
        }
    }
}

fn fail(memory: &mut Memory, now: Duration, reason: String, is_refused: bool) {
    let failures = memory.prepare.failures.saturating_add(1);
    let wait = if is_refused { REFUSED } else { doubled(PREPARE.0, PREPARE.1, failures) };
    memory.prepare = Retry { failures, at: now + wait, reason, is_refused };
    memory.order = None;
}

/// What was decided, as far as a later pass goes by it.
pub(super) fn note(decision: &Decision, now: Duration, memory: &mut Memory) {
    match &decision.step {
        // A fetch comes in between: the phase goes on behind it.
        Some(Step::Fetch(_)) => return,
        Some(Step::Order(Order::Prepare { id, .. })) => {
            memory.last_order = *id;
            memory.order = Some((*id, now));
        }
        Some(Step::Order(Order::Reboot { .. })) => memory.reboot = Some(now),
        Some(Step::Order(Order::Kubelet { digest })) => memory.kubelet = Some((digest.clone(), now)),
        Some(Step::TakeSlot { .. } | Step::Cordon { .. }) => {
            memory.is_settled = false;
            memory.touched = now;
        }
        Some(Step::AnnotateSlot { claim, .. }) if decision.phase == Phase::Draining => {
            memory.reported_from = Some(claim.resource_version.clone());
        }
        Some(Step::GiveSlotBack { .. }) => memory.reported_from = None,
        Some(Step::AnnotateSlot { .. } | Step::Uncordon { .. } | Step::Evict { .. } | Step::Remove { .. }) | None => {}
    }
    if decision.gives_up {
        let failures = memory.drain.failures.saturating_add(1);
        let at = now + doubled(DRAIN.0, DRAIN.1, failures);
        memory.drain = Retry { failures, at, reason: decision.message.clone(), is_refused: false };
    }
    if memory.phase.0 != decision.phase {
        if decision.phase == Phase::Draining {
            memory.blocked.clear();
        }
        memory.phase = (decision.phase, now);
    }
}

impl Memory {
    /// Forgets an order that could not even be given, so that the next pass gives it again.
    pub fn not_ordered(&mut self, order: &Order) {
        match order {
            Order::Prepare { .. } => self.order = None,
            Order::Reboot { .. } => self.reboot = None,
            Order::Kubelet { .. } => self.kubelet = None,
        }
    }
}
