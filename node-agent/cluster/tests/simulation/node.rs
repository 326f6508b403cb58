//! A node: its machine, and the membership in its agent.

use std::time::Duration;

use ballast_cluster::{
    model::{ClusterSnapshot, Decision, Fetch, Identity, Memory, Resolved, Step},
    plan::rollout::{Context, pass},
};

use crate::{
    cluster::{Answer, Cluster},
    machine::Machine,
    rng::Rng,
};

/// A Thursday at midnight.
const EPOCH: i64 = 1_764_201_600;

/// A node: its machine, and the membership in its agent.
pub(crate) struct Node {
    pub(crate) machine: Machine,
    pub(crate) identity: Identity,
    pub(crate) memory: Memory,
    /// On its disk: what the image means.
    pub(crate) resolved: Option<Resolved>,
    /// When its agent began.
    pub(crate) started: u64,
    /// By how much its clock is wrong.
    pub(crate) skew: i64,
    pub(crate) wake: u64,
    /// It burnt down.
    pub(crate) is_gone: bool,
}

impl Node {
    /// The agent begins anew at `at` and has forgotten everything.
    pub(crate) fn restart(&mut self, at: u64) {
        self.memory = Memory::default();
        self.started = at;
        self.wake = at;
    }

    pub(crate) fn pass(&mut self, snapshot: &ClusterSnapshot, now: u64) -> Decision {
        let facts = self.machine.facts();
        let context = Context {
            facts: &facts,
            snapshot,
            identity: &self.identity,
            now: Duration::from_secs(now.saturating_sub(self.started)),
            unix_secs: EPOCH + i64::try_from(now).unwrap() + self.skew,
        };
        pass(&context, &mut self.memory)
    }

    /// Does `step`, or what randomness makes of it. False: as far as the agent knows, it failed.
    pub(crate) fn carry_out(
        &mut self,
        step: &Step,
        cluster: &mut Cluster,
        snapshot: &mut ClusterSnapshot,
        now: u64,
        rng: &mut Rng,
    ) -> bool {
        let name = &self.identity.name;
        match step {
            Step::Fetch(_) if rng.permille(30) => return false,
            Step::Fetch(Fetch::Node) => {
                snapshot.node = cluster.nodes.get(name).map(|node| node.snapshot.clone());
                return snapshot.node.is_some();
            }
            Step::Fetch(Fetch::Slots { is_fresh }) => snapshot.slots = Some(cluster.fetch(name, *is_fresh, now)),
            Step::Fetch(Fetch::Lease) => snapshot.lease = Some(cluster.lease(name)),
            Step::Fetch(Fetch::Pods) => snapshot.pods = cluster.nodes.get(name).map(|node| node.pods.clone()),
            Step::Order(order) => {
                if !rng.permille(20) {
                    self.machine.order(order, now, rng);
                }
            }
            Step::TakeSlot { .. }
            | Step::AnnotateSlot { .. }
            | Step::GiveSlotBack { .. }
            | Step::Cordon { .. }
            | Step::Uncordon { .. }
            | Step::Evict { .. }
            | Step::Remove { .. } => {
                *snapshot = ClusterSnapshot::default();
                return self.change(step, cluster, now, rng);
            }
        }
        if !matches!(step, Step::Fetch(_)) {
            *snapshot = ClusterSnapshot::default();
        }
        true
    }

    pub(crate) fn change(&mut self, step: &Step, cluster: &mut Cluster, now: u64, rng: &mut Rng) -> bool {
        let name = &self.identity.name;
        if rng.permille(30) {
            return false;
        }
        if rng.permille(30) {
            cluster.later(now + rng.between(5, 59), name, step);
            return false;
        }
        let answer = cluster.change(name, step, now, rng);
        if rng.permille(30) {
            return false;
        }
        match answer {
            Answer::Done => true,
            Answer::Conflict => false,
            Answer::Evictions(answers) => {
                let Step::Evict { pods } = step else { return false };
                let elapsed = Duration::from_secs(now.saturating_sub(self.started));
                pods.iter().zip(answers).for_each(|(pod, answer)| self.memory.evicted(pod, answer, elapsed));
                true
            }
        }
    }
}
