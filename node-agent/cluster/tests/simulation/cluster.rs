//! An API server as far as a rollout knows it: objects with resource versions, and changes that hold for the version they were made for or not
//! at all.

use std::collections::BTreeMap;

use ballast_cluster::model::{
    Claim, Cordon, Eviction, NodeOsSpec, NodeSnapshot, PodId, PodKind, PodSnapshot, Slot, Step,
};

use super::rng::Rng;

/// How old what the API server keeps may be, in seconds.
const KEPT: u64 = 3;

pub(crate) struct ApiNode {
    pub(crate) snapshot: NodeSnapshot,
    pub(crate) pods: Vec<PodSnapshot>,
    /// Until when a budget holds its pods back.
    pub(crate) held_until: u64,
}

#[derive(Default)]
pub(crate) struct Cluster {
    pub(crate) spec: NodeOsSpec,
    pub(crate) nodes: BTreeMap<String, ApiNode>,
    /// The slots' names.
    pub(crate) slots: Vec<String>,
    /// What is said on nodes' Leases, by node: which slot, and the rest.
    pub(crate) claims: BTreeMap<String, (String, Claim)>,
    /// In which state they are, by node.
    leases: BTreeMap<String, String>,
    /// What the API server keeps of the claims, and since when.
    kept: (u64, Vec<Slot>),
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

    pub(crate) fn come_true(&mut self, now: u64, rng: &mut Rng) {
        let (due, rest) = std::mem::take(&mut self.late).into_iter().partition(|(at, _, _)| *at <= now);
        self.late = rest;
        for (_, name, step) in due {
            self.change(&name, &step, now, rng);
        }
    }

    pub(crate) fn change(&mut self, name: &str, step: &Step, now: u64, rng: &mut Rng) -> Answer {
        match step {
            Step::TakeSlot { slot, resource_version, reason } => {
                if *resource_version != self.lease(name) {
                    return Answer::Conflict;
                }
                let resource_version = self.changed(name);
                let claim = Claim { node: name.to_owned(), resource_version, reason: reason.clone(), is_old: false };
                self.claims.insert(name.to_owned(), (slot.clone(), claim));
                Answer::Done
            }
            Step::AnnotateSlot { claim, reason } => {
                if self.claim(name, claim).is_none() {
                    return Answer::Conflict;
                }
                let resource_version = self.changed(name);
                let Some((_, found)) = self.claims.get_mut(name) else { return Answer::Conflict };
                *found = Claim { resource_version, reason: reason.clone(), ..found.clone() };
                Answer::Done
            }
            Step::GiveSlotBack { claim } => {
                if self.claim(name, claim).is_none() {
                    return Answer::Conflict;
                }
                self.changed(name);
                self.claims.remove(name);
                Answer::Done
            }
            Step::Cordon { resource_version } => self.change_cordon(name, resource_version, Cordon::Ours),
            Step::Uncordon { resource_version } => self.change_cordon(name, resource_version, Cordon::None),
            Step::Evict { pods } => {
                let Some(node) = self.nodes.get_mut(name) else { return Answer::Conflict };
                let evict = |id: &PodId| {
                    if now < node.held_until || rng.permille(200) {
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
            Step::Fetch(_) | Step::Order(_) => Answer::Done,
        }
    }

    /// The node's claim, if its Lease is still as it was read.
    fn claim(&self, name: &str, read: &Claim) -> Option<&(String, Claim)> {
        self.claims.get(name).filter(|_| self.lease(name) == read.resource_version)
    }

    /// The state of the node's Lease.
    pub(crate) fn lease(&self, name: &str) -> String {
        self.leases.get(name).cloned().unwrap_or_else(|| "0".to_owned())
    }

    fn changed(&mut self, name: &str) -> String {
        let version = self.next_version();
        self.leases.insert(name.to_owned(), version.clone());
        version
    }

    /// The slots with their claims. What is not asked for freshly may be some seconds old, but for whoever claims one.
    pub(crate) fn fetch(&mut self, name: &str, is_fresh: bool, now: u64) -> Vec<Slot> {
        if now >= self.kept.0 + KEPT {
            self.kept = (now, self.now());
        }
        let is_ours = |slot: &Slot| slot.claims.iter().any(|claim| claim.node == name);
        if is_fresh || self.kept.1.iter().any(is_ours) { self.now() } else { self.kept.1.clone() }
    }

    fn now(&self) -> Vec<Slot> {
        let claims = |slot: &String| {
            self.claims.values().filter(|(name, _)| name == slot).map(|(_, claim)| claim.clone()).collect()
        };
        let slot = |name: &String| Slot { name: name.clone(), pool: "default".to_owned(), claims: claims(name) };
        self.slots.iter().map(slot).collect()
    }

    fn change_cordon(&mut self, name: &str, read: &str, cordon: Cordon) -> Answer {
        let version = self.next_version();
        let found = self.nodes.get_mut(name).filter(|node| node.snapshot.resource_version == read);
        let Some(node) = found else { return Answer::Conflict };
        node.snapshot = NodeSnapshot { cordon, resource_version: version };
        Answer::Done
    }
}
