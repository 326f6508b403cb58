//! An API server as far as a rollout knows it: objects with resource versions, and changes that hold for the version they were made for or not
//! at all.

use std::collections::BTreeMap;

use ballast_cluster::model::{
    Cordon, Eviction, Holder, HolderObject, NodeOsSpec, PodId, PodKind, Resolved, SeenNode, SeenPod, Slot, Step,
};

use super::chance::Chance;

pub(crate) struct ApiNode {
    pub(crate) seen: SeenNode,
    pub(crate) pods: Vec<SeenPod>,
    /// Until when a budget holds its pods back.
    pub(crate) held_until: u64,
}

#[derive(Default)]
pub(crate) struct Cluster {
    pub(crate) spec: NodeOsSpec,
    /// `status.observedImage` and `observedDigest`, by node.
    pub(crate) resolved: BTreeMap<String, Resolved>,
    pub(crate) nodes: BTreeMap<String, ApiNode>,
    pub(crate) slots: Vec<Slot>,
    version: u64,
    /// Changes whose client gave up and that come true later.
    late: Vec<(u64, String, Step)>,
}

/// What a change was answered.
pub(crate) enum Answer {
    Done,
    /// 409: somebody was faster.
    Conflict,
    Evictions(Vec<Eviction>),
}

impl Cluster {
    fn next_version(&mut self) -> String {
        self.version += 1;
        self.version.to_string()
    }

    pub(crate) fn later(&mut self, at: u64, name: &str, step: &Step) {
        self.late.push((at, name.to_owned(), step.clone()));
    }

    pub(crate) fn next_late(&self) -> u64 {
        self.late.iter().map(|(at, _, _)| *at).min().unwrap_or(u64::MAX)
    }

    pub(crate) fn come_true(&mut self, now: u64, chance: &mut Chance) {
        let (due, rest) = std::mem::take(&mut self.late).into_iter().partition(|(at, _, _)| *at <= now);
        self.late = rest;
        for (_, name, step) in due {
            self.change(&name, &step, now, chance);
        }
    }

    pub(crate) fn change(&mut self, name: &str, step: &Step, now: u64, chance: &mut Chance) -> Answer {
        match step {
            Step::TakeSlot { slot, reason } => {
                let holder = Some(Holder { name: name.to_owned(), object: HolderObject::Node });
                self.change_slot(slot, holder, reason)
            }
            Step::TellSlot { slot, reason } => self.change_slot(slot, slot.holder.clone(), reason),
            Step::GiveSlotBack { slot } => self.change_slot(slot, None, ""),
            Step::Cordon { resource_version } => self.change_cordon(name, resource_version, Cordon::Ours),
            Step::Uncordon { resource_version } => self.change_cordon(name, resource_version, Cordon::None),
            Step::Evict { pods } => {
                let Some(node) = self.nodes.get_mut(name) else { return Answer::Conflict };
                let evict = |id: &PodId| {
                    if now < node.held_until || chance.permille(200) {
                        return Eviction::Blocked("the budget does not allow it".to_owned());
                    }
                    let pod = node.pods.iter_mut().find(|pod| pod.id == *id);
                    if let Some(pod) = pod {
                        pod.kind = PodKind::Ends;
                    }
                    Eviction::Accepted
                };
                Answer::Evictions(pods.iter().map(evict).collect())
            }
            Step::Remove { pods } => {
                if let Some(node) = self.nodes.get_mut(name) {
                    node.pods.retain(|pod| !pods.contains(&pod.id));
                }
                Answer::Done
            }
            Step::Look(_) | Step::Order(_) => Answer::Done,
        }
    }

    fn change_slot(&mut self, read: &Slot, holder: Option<Holder>, reason: &str) -> Answer {
        let version = self.next_version();
        let found = self.slots.iter_mut().find(|slot| slot.name == read.name);
        let Some(slot) = found.filter(|slot| slot.resource_version == read.resource_version) else {
            return Answer::Conflict;
        };
        *slot = Slot {
            name: read.name.clone(),
            pool: read.pool.clone(),
            resource_version: version,
            holder,
            reason: reason.to_owned(),
        };
        Answer::Done
    }

    fn change_cordon(&mut self, name: &str, read: &str, cordon: Cordon) -> Answer {
        let version = self.next_version();
        let found = self.nodes.get_mut(name).filter(|node| node.seen.resource_version == read);
        let Some(node) = found else { return Answer::Conflict };
        node.seen = SeenNode { cordon, resource_version: version };
        Answer::Done
    }
}
