//! Rollouts: passes of the plan, and the steps that it decides.

use std::time::{Duration, SystemTime};

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::MicroTime,
    chrono::{DateTime, Utc},
};

use super::{desk::seconds, member::Member, pace::Duty};
use crate::{
    act,
    client::{Failure, Kind},
    model::{Decision, Phase, Step},
    observe,
    plan::{
        self, backoff,
        rollout::{World, pass},
    },
    random,
};

/// Somebody else was faster: the next look is a little later, and not that of all others at once.
const AFTER_CONFLICT: Duration = Duration::from_secs(2);

impl Member {
    /// One pass and its step. Looks are followed by the pass that asked for them, with what else was seen in it.
    pub(super) async fn roll(&mut self) -> Result<(), Failure> {
        self.seen.node_os = self.watch.last.as_ref().map(|last| last.seen());
        let decision = {
            let world = World {
                facts: &self.known,
                seen: &self.seen,
                identity: &self.identity,
                now: self.now(),
                unix_secs: i64::try_from(seconds()).unwrap_or(i64::MAX),
            };
            pass(&world, &mut self.memory)
        };
        let now = self.now();
        match decision.wait {
            Some(wait) => self.schedule.set(Duty::Rollout, now + backoff::spread(wait, random::fraction())),
            None => self.schedule.rest(Duty::Rollout),
        }
        let Some(step) = decision.step.clone() else {
            self.forget();
            self.decided(decision);
            return Ok(());
        };
        let is_look = matches!(step, Step::Look(_));
        if !is_look {
            self.decided(decision.clone());
        }
        let result = self.step(&step).await;
        if !is_look || result.is_err() {
            self.forget();
        }
        match result {
            Ok(()) => {
                self.schedule.set(Duty::Rollout, self.now());
                Ok(())
            }
            Err(failure) if failure.kind() == Kind::Conflict => {
                self.schedule.set(Duty::Rollout, self.now() + AFTER_CONFLICT.mul_f64(random::fraction()));
                Ok(())
            }
            Err(failure) => {
                // Now what the look was for is worth telling: why it goes no further.
                if is_look {
                    self.decided(decision);
                }
                self.schedule.set(Duty::Rollout, self.now());
                Err(failure)
            }
        }
    }

    /// What was read for one step says nothing for the next.
    fn forget(&mut self) {
        self.seen = crate::model::Seen { node_os: self.seen.node_os.take(), ..crate::model::Seen::default() };
    }

    /// What it decided is what the cluster and the machine are told.
    fn decided(&mut self, decision: Decision) {
        let says = match (decision.phase, decision.message.as_str()) {
            (Phase::Idle, _) => None,
            (phase, "") => Some(format!("{phase:?}")),
            (phase, message) => Some(format!("{phase:?}: {message}")),
        };
        self.desk.rolls(says);
        let happened = plan::event::events(Some((&self.known, self.decision.phase)), (&self.known, decision.phase));
        self.decision = decision;
        self.will_tell(happened);
        self.compare();
    }

    async fn step(&mut self, step: &Step) -> Result<(), Failure> {
        let (own, slots) = (self.access.client.own(), self.access.client.slots());
        match step {
            Step::Look(what) => observe::look(&self.access.client, &self.identity, what, &mut self.seen).await,
            Step::Order(order) => self.orders.try_send(order.clone()).map_err(|_| {
                Failure::Strange("the agent takes no order now, expected it to be done with the one before".to_owned())
            }),
            Step::TakeSlot { slot, reason } => {
                let now = MicroTime(DateTime::<Utc>::from(SystemTime::now()));
                let patch = plan::slots::taken(slot, &self.identity, reason, &now);
                act::change_slot(&slots, &slot.name, &patch).await
            }
            Step::TellSlot { slot, reason } => {
                act::change_slot(&slots, &slot.name, &plan::slots::told(slot, reason)).await
            }
            Step::GiveSlotBack { slot } => act::change_slot(&slots, &slot.name, &plan::slots::given_back(slot)).await,
            Step::Cordon { resource_version } => {
                act::change(&own, &self.identity.name, &plan::drain::cordon(resource_version)).await
            }
            Step::Uncordon { resource_version } => {
                act::change(&own, &self.identity.name, &plan::drain::uncordon(resource_version)).await
            }
            Step::Evict { pods } => {
                let (now, memory) = (self.begun.elapsed(), &mut self.memory);
                self.evictions.ask(&own, pods, |pod, answer| memory.evicted(pod, answer, now)).await
            }
            Step::Remove { pods } => act::remove(&own, pods).await,
        }
    }
}
