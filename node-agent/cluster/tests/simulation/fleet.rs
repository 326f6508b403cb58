//! The whole: nodes, the API, the time, and what an operator does.

use std::{collections::BTreeSet, time::Duration};

use ballast_client::backoff;
use ballast_cluster::model::{
    ClusterSnapshot, Cordon, Identity, Memory, NodeOsSnapshot, NodeOsSpec, NodeSnapshot, PodId, PodKind, PodSnapshot,
    Step,
};

use crate::{
    cluster::{ApiNode, Cluster},
    machine::{Machine, release},
    node::Node,
    rng::Rng,
};

const NODES: usize = 200;
pub(crate) const HOUR: u64 = 3600;

pub(crate) struct Simulation {
    pub(crate) rng: Rng,
    pub(crate) cluster: Cluster,
    pub(crate) nodes: Vec<Node>,
    pub(crate) now: u64,
    pub(crate) max_down: usize,
    pub(crate) most_down: usize,
}

impl Simulation {
    pub(crate) fn new(seed: u64, max_down: usize, bad: &[char]) -> Self {
        let mut rng = Rng::new(seed);
        let mut cluster = Cluster::default();
        cluster.slots = (0..max_down).map(|number| format!("default-{number}")).collect();
        let mut nodes = Vec::new();
        for number in 0..NODES {
            let name = format!("node-{number}");
            let pod = |index| {
                let id = PodId {
                    namespace: "default".to_owned(),
                    name: format!("p{index}"),
                    uid: format!("{name}-{index}"),
                };
                PodSnapshot { id, kind: PodKind::Runs }
            };
            let snapshot = NodeSnapshot { cordon: Cordon::None, resource_version: "0".to_owned() };
            let pods = (0..rng.between(0, 2)).map(pod).collect();
            // Some have a budget that holds longer than a drain may take.
            let held_until = if rng.permille(50) { rng.between(0, 2 * HOUR) } else { 0 };
            cluster.nodes.insert(name.clone(), ApiNode { snapshot, pods, held_until });
            nodes.push(Node {
                machine: Machine::new(bad.to_vec()),
                identity: Identity { name, pool: "default".to_owned(), ..Identity::default() },
                memory: Memory::default(),
                resolved: None,
                started: 0,
                skew: i64::try_from(rng.between(0, 2 * HOUR)).unwrap() - i64::try_from(HOUR).unwrap(),
                wake: rng.between(0, 60),
                is_gone: false,
            });
        }
        Self { rng, cluster, nodes, now: 0, max_down, most_down: 0 }
    }

    /// The operator changes the spec of all.
    pub(crate) fn ask_for(&mut self, image: &str) {
        let window = vec!["daily 00:00-22:00 UTC".to_owned()];
        self.cluster.spec = NodeOsSpec { image: Some(image.to_owned()), window, ..NodeOsSpec::default() };
        self.nodes.iter_mut().for_each(|node| node.wake = self.now);
    }

    /// The operator asks all for a kubelet, and each has fetched it; those of `bad` do not work.
    pub(crate) fn ask_for_kubelet(&mut self, letter: char, bad: &[char]) {
        for node in &mut self.nodes {
            (node.machine.kubelet.wanted, node.machine.kubelet.bad) = (Some(letter), bad.to_vec());
            node.wake = self.now;
        }
    }

    /// The operator holds the rollout, or lets it go on.
    pub(crate) fn pause(&mut self, is_paused: bool) {
        self.cluster.spec.paused = is_paused;
        self.nodes.iter_mut().for_each(|node| node.wake = self.now);
    }

    /// Until `is_done`, or `limit` is over.
    pub(crate) fn run(&mut self, limit: u64, mut is_done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + limit;
        while self.now < end {
            let due = self.nodes.iter().filter(|node| !node.is_gone).map(|node| node.wake).min().unwrap();
            self.now = due.min(self.cluster.next_late()).max(self.now);
            self.cluster.come_true(self.now, &mut self.rng);
            for index in 0..self.nodes.len() {
                if self.nodes[index].wake <= self.now && !self.nodes[index].is_gone {
                    self.wake(index);
                    self.check();
                }
            }
            if is_done(self) {
                return true;
            }
        }
        false
    }

    /// Never are more down than there are slots.
    fn check(&mut self) {
        let down = self.nodes.iter().filter(|node| node.machine.is_down_by_order && !node.is_gone).count();
        assert!(down <= self.max_down, "{down} nodes are down at {} s", self.now);
        self.most_down = self.most_down.max(down);
    }

    /// The agent of a node passes as often as there is something to do.
    fn wake(&mut self, index: usize) {
        let Self { rng, cluster, nodes, now, .. } = self;
        let (now, node) = (*now, &mut nodes[index]);
        node.machine.tick(now, rng);
        if !node.machine.is_up(now) {
            node.restart(node.machine.next_change(now));
            return;
        }
        let mut snapshot = ClusterSnapshot::default();
        for _ in 0..20 {
            if rng.permille(5) {
                node.restart(now + rng.between(1, 10));
                return;
            }
            if rng.permille(1) {
                node.machine.reboot(now, rng);
                node.restart(node.machine.next_change(now));
                return;
            }
            snapshot.node_os = Some(NodeOsSnapshot { spec: cluster.spec.clone(), resolved: node.resolved.clone() });
            let decision = node.pass(&snapshot, now);
            // A disk may be full.
            if let Some(resolved) = decision.resolved.clone().filter(|_| !rng.permille(100)) {
                node.resolved = Some(resolved);
            }
            let Some(step) = decision.step else {
                let wait = backoff::spread(decision.wait.unwrap_or(Duration::from_secs(HOUR)), 0.5);
                let wait = (wait.as_secs() + rng.between(0, wait.as_secs() / 2)).max(1);
                node.wake = (now + wait).min(node.machine.next_change(now));
                return;
            };
            if !node.carry_out(&step, cluster, &mut snapshot, now, rng) {
                node.wake = now + rng.between(1, 8);
                return;
            }
            if !node.machine.is_up(now) {
                node.restart(node.machine.next_change(now));
                return;
            }
        }
        node.wake = now + 1;
    }

    /// `thief` claims this slot, whoever has it.
    pub(crate) fn steal(&mut self, thief: &str, slot: usize) {
        let slot = self.cluster.slots[slot].clone();
        let resource_version = self.cluster.lease(thief);
        let step = Step::TakeSlot { slot, resource_version, reason: "stolen".to_owned() };
        self.cluster.change(thief, &step, self.now, &mut self.rng);
    }

    pub(crate) fn alive(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| !node.is_gone)
    }

    pub(crate) fn all_run(&self, letter: char) -> bool {
        let wanted = release(letter).digest;
        self.alive().all(|node| node.machine.booted.digest == wanted && !node.machine.facts().os.on_trial)
    }

    pub(crate) fn holders(&self) -> BTreeSet<&str> {
        self.cluster.claims.keys().map(String::as_str).collect()
    }

    /// Nothing that was taken is kept.
    pub(crate) fn is_settled(&self) -> bool {
        let holders = self.holders();
        let is_free = |node: &Node| {
            let name = node.identity.name.as_str();
            let cordon = self.cluster.nodes.get(name).map(|node| node.snapshot.cordon);
            !holders.contains(name) && cordon == Some(Cordon::None)
        };
        self.alive().all(is_free)
    }

    /// What the run came to, for the message of an assertion.
    pub(crate) fn shown(&self) -> String {
        let mut phases: Vec<String> = self
            .alive()
            .filter(|node| node.memory.phase.0 != ballast_cluster::model::Phase::Idle)
            .map(|node| {
                format!("{}: {:?}, runs {}", node.identity.name, node.memory.phase, node.machine.booted.version)
            })
            .collect();
        phases.truncate(10);
        format!("at {} s, slots held by {:?}\n{}", self.now, self.holders(), phases.join("\n"))
    }
}
