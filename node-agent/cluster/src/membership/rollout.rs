//! Rollouts: passes of the plan, and the steps that it decides.

use std::time::Duration;

use ballast_client::backoff;
use tokio::sync::mpsc;

use super::{
    member::{Member, Outcome},
    pace::Duty,
    status_reporter::seconds,
};
use crate::{
    act::{self, Evictions},
    client::{Failure, Kind},
    credentials::Kept,
    model::{ClusterSnapshot, Decision, DrainProgress, Memory, Order, Phase, Resolved, Step},
    observe,
    plan::{
        self,
        rollout::{Context, pass},
    },
    random,
};

/// Somebody else was faster: the next fetch is a little later, and not that of all others at once.
const AFTER_CONFLICT: Duration = Duration::from_secs(2);

/// What is known of the rollout: what was read for the pass, what is remembered, what was decided.
pub(super) struct Rollout {
    orders: mpsc::Sender<Order>,
    snapshot: ClusterSnapshot,
    memory: Memory,
    /// What the image that is asked for was found to mean.
    resolved: Option<Resolved>,
    decision: Decision,
    evictions: Evictions,
}

impl Rollout {
    pub(super) fn new(orders: mpsc::Sender<Order>, resolved: Option<Resolved>) -> Self {
        Self {
            orders,
            snapshot: ClusterSnapshot::default(),
            memory: Memory::default(),
            resolved,
            decision: Decision::default(),
            evictions: Evictions::default(),
        }
    }

    /// What was decided last.
    pub(super) fn decision(&self) -> &Decision {
        &self.decision
    }

    /// What the image that is asked for was found to mean.
    pub(super) fn resolved(&self) -> Option<&Resolved> {
        self.resolved.as_ref()
    }
}

impl Member {
    /// One pass and its step. Fetches are followed by the pass that asked for them, with what else was read in it.
    pub(super) async fn rollout_pass(&mut self) -> Result<Outcome, Failure> {
        self.rollout.snapshot.node_os =
            self.node_os.object().map(|object| object.snapshot(self.rollout.resolved.as_ref()));
        self.status_reporter
            .asks(self.rollout.snapshot.node_os.as_ref().and_then(|node_os| plan::desired_state::image(&node_os.spec)));
        // What is paused asks for nothing new.
        let spec = self.rollout.snapshot.node_os.as_ref().map(|node_os| &node_os.spec).filter(|spec| !spec.paused);
        if let Some(spec) = spec {
            self.status_reporter.asks_kubelet(plan::desired_state::kubelet(spec));
        }
        let decision = {
            let context = Context {
                facts: &self.known,
                snapshot: &self.rollout.snapshot,
                identity: &self.identity,
                now: self.now(),
                unix_secs: i64::try_from(seconds()).unwrap_or(i64::MAX),
            };
            pass(&context, &mut self.rollout.memory)
        };
        self.keep_resolved(decision.resolved.as_ref()).await;
        let now = self.now();
        match decision.wait {
            Some(wait) => self.schedule.set(Duty::Rollout, now + backoff::spread(wait, random::fraction())),
            None => self.schedule.rest(Duty::Rollout),
        }
        let Some(step) = decision.step.clone() else {
            self.forget();
            self.decided(decision);
            return Ok(Outcome::Done);
        };
        let is_fetch = matches!(step, Step::Fetch(_));
        if !is_fetch {
            self.decided(decision.clone());
        }
        if matches!(step, Step::Order(Order::Reboot { .. })) {
            self.take_leave().await;
        }
        let result = self.step(&step).await;
        if !is_fetch || result.is_err() {
            self.forget();
        }
        match result {
            Ok(()) => {
                self.schedule.set(Duty::Rollout, self.now());
                Ok(if is_fetch { Outcome::Fetched } else { Outcome::Done })
            }
            Err(failure) if failure.kind() == Kind::Conflict => {
                self.schedule.set(Duty::Rollout, self.now() + AFTER_CONFLICT.mul_f64(random::fraction()));
                Ok(Outcome::Done)
            }
            Err(failure) => {
                // What was never given is given again in the next pass, and not only when it counts as lost.
                if let Step::Order(order) = &step {
                    self.rollout.memory.not_ordered(order);
                }
                // Now what the fetch was for is worth reporting: why it goes no further.
                if is_fetch {
                    self.decided(decision);
                }
                self.schedule.set(Duty::Rollout, self.now());
                Err(failure)
            }
        }
    }

    /// What the image means is kept on the machine, where no other node can write it.
    async fn keep_resolved(&mut self, resolved: Option<&Resolved>) {
        const DOING: &str = "keeping what the image means";
        let Some(resolved) = resolved.filter(|resolved| self.rollout.resolved.as_ref() != Some(*resolved)) else {
            return;
        };
        self.rollout.resolved = Some(resolved.clone());
        match self.applicant.store.keep_resolved(resolved).await {
            Ok(()) => self.status_reporter.clear_problem(DOING),
            Err(error) => self.status_reporter.set_problem(DOING, error),
        }
    }

    /// The NodeOS is another than the one that asked for it: whatever it asks for is resolved anew.
    pub(super) async fn forget_resolved(&mut self) {
        if self.rollout.resolved.take().is_none() {
            return;
        }
        // What was prepared before is no answer, either.
        self.rollout.memory.about.1 = None;
        if let Err(error) = self.applicant.store.remove(Kept::Resolved).await {
            log::warn!("cluster {}: {error}", self.applicant.config.name);
        }
    }

    /// Once the machine goes down nobody reports any more what it is at. If this cannot be reported, it goes down all the same.
    async fn take_leave(&mut self) {
        for reported in [self.apply().await, self.record_events().await] {
            if let Err(failure) = reported {
                log::info!(
                    "cluster {}: what is reported before a reboot was not: {failure}",
                    self.applicant.config.name
                );
            }
        }
    }

    /// What was read for one step says nothing for the next.
    fn forget(&mut self) {
        self.rollout.snapshot =
            ClusterSnapshot { node_os: self.rollout.snapshot.node_os.take(), ..ClusterSnapshot::default() };
    }

    /// What it decided is what the cluster and the machine see.
    fn decided(&mut self, decision: Decision) {
        let says = match (decision.phase, decision.message.as_str()) {
            (Phase::Idle, _) => None,
            (phase, "") => Some(format!("{phase:?}")),
            (phase, message) => Some(format!("{phase:?}: {message}")),
        };
        self.status_reporter.rolls(says);
        let drain = DrainProgress { is_done: decision.is_empty, message: decision.message.clone() };
        self.status_reporter.drains(Some(drain).filter(|_| self.known.leaves));
        let happened =
            plan::event::events(Some((&self.known, self.rollout.decision.phase)), (&self.known, decision.phase));
        self.rollout.decision = decision;
        self.will_record(happened);
        self.compare();
    }

    async fn step(&mut self, step: &Step) -> Result<(), Failure> {
        let own = self.access.client.own();
        match step {
            Step::Fetch(what) => observe::fetch(&own, &self.identity, what, &mut self.rollout.snapshot).await,
            Step::Order(order) => self.rollout.orders.try_send(order.clone()).map_err(|_| {
                Failure::Unexpected(
                    "the agent takes no order now, expected it to be done with the one before".to_owned(),
                )
            }),
            Step::TakeSlot { slot, resource_version, reason } => {
                if !resource_version.is_empty() || self.identity.role.has_node() {
                    return self.change_claim(&plan::slots::taken(slot, resource_version, reason)).await;
                }
                let made = plan::slots::lease(&self.identity, &self.subject_uid(), slot, reason);
                self.node.goes_on(act::create_claim(&own, &made).await?);
                Ok(())
            }
            Step::AnnotateSlot { claim, reason } => self.change_claim(&plan::slots::reported(claim, reason)).await,
            Step::GiveSlotBack { claim } => self.change_claim(&plan::slots::given_back(claim)).await,
            Step::Cordon { resource_version } => {
                act::change(&own, &self.identity.name, &plan::cordon::cordon(resource_version)).await
            }
            Step::Uncordon { resource_version } => {
                act::change(&own, &self.identity.name, &plan::cordon::uncordon(resource_version)).await
            }
            Step::Evict { pods } => {
                let now = self.now();
                let Rollout { memory, evictions, .. } = &mut self.rollout;
                evictions.ask(&own, pods, |pod, answer| memory.evicted(pod, answer, now)).await
            }
            Step::Remove { pods } => act::remove(&own, pods).await,
        }
    }

    async fn change_claim(&mut self, patch: &serde_json::Value) -> Result<(), Failure> {
        let lease = act::change_claim(&self.access.client.own(), &self.identity.name, patch).await?;
        self.node.goes_on(lease);
        Ok(())
    }
}
