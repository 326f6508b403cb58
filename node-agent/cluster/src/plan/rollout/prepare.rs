//! The release is fetched and made the next to boot. Pods do not notice.

use std::time::Duration;

use super::{Context, at, does, settle::settle};
use crate::model::{Decision, Memory, Operation, Order, Phase, Step};

/// An order that shows neither as an operation nor as an outcome after this time is given once more.
const LOST: Duration = Duration::from_secs(60);

/// What is to be done so that `image` boots next.
pub(super) fn prepare(context: &Context<'_>, memory: &Memory, image: &str) -> Decision {
    let lost = memory.order.map(|(_, sent)| LOST.saturating_sub(context.now.saturating_sub(sent)));
    let left = memory.prepare.at.saturating_sub(context.now);
    if let Some(operation) = &context.facts.os.operation {
        settle(context, memory, at(Phase::Preparing, progress(operation), None))
    } else if let Some(wait) = lost.filter(|wait| !wait.is_zero()) {
        settle(context, memory, at(Phase::Preparing, "the machine was asked to prepare it", Some(wait)))
    } else if left.is_zero() {
        let order = Order::Prepare { id: memory.last_order + 1, image: image.to_owned() };
        does(Phase::Preparing, "the machine is asked to prepare it", Step::Order(order))
    } else {
        let phase = if memory.prepare.is_refused { Phase::Failed } else { Phase::Preparing };
        let message = format!("preparing failed {} times: {}", memory.prepare.failures, memory.prepare.reason);
        settle(context, memory, at(phase, message, Some(left)))
    }
}

/// How far the machine is, coarsely: each change of it is a request to the API server.
fn progress(operation: &Operation) -> String {
    match tenths(operation) {
        0 => format!("{} {}", operation.name, operation.phase),
        tenths => format!("{} {}, {tenths}0 %", operation.name, operation.phase),
    }
}

/// How many tenths were fetched.
pub(super) fn tenths(operation: &Operation) -> u64 {
    let done = operation.fetched_bytes.saturating_mul(10);
    done.checked_div(operation.total_bytes).map_or(0, |tenths| tenths.min(10))
}
