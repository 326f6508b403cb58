//! 200 nodes roll through a pool, by the plan that the agent runs, over a fake API and fake machines. At each step an agent or a machine may
//! crash, a request or its answer may be lost or come true much later, and clocks are wrong. The same seed is the same run:
//! `BALLAST_SEED=7 cargo test -p ballast-cluster --test simulation`.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

mod cluster;
mod kubelet;
mod machine;
mod rng;

use std::{collections::BTreeSet, time::Duration};

use ballast_cluster::{
    model::{
        ClusterSnapshot, Cordon, Decision, Fetch, Identity, Memory, NodeOsSnapshot, NodeOsSpec, NodeSnapshot, PodId,
        PodKind, PodSnapshot, Resolved, Step,
    },
    plan::{
        backoff,
        rollout::{Context, pass},
    },
};

use self::{
    cluster::{Answer, ApiNode, Cluster},
    machine::{Machine, release},
    rng::Rng,
};

const NODES: usize = 200;
const HOUR: u64 = 3600;
/// A Thursday at midnight.
const EPOCH: i64 = 1_764_201_600;

/// A node: its machine, and the membership in its agent.
struct Node {
    machine: Machine,
    identity: Identity,
    memory: Memory,
    /// On its disk: what the image means.
    resolved: Option<Resolved>,
    /// When its agent began.
    started: u64,
    /// By how much its clock is wrong.
    skew: i64,
    wake: u64,
    /// It burnt down.
    is_gone: bool,
}

struct Simulation {
    rng: Rng,
    cluster: Cluster,
    nodes: Vec<Node>,
    now: u64,
    max_down: usize,
    most_down: usize,
}

impl Simulation {
    fn new(seed: u64, max_down: usize, bad: &[char]) -> Self {
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
    fn ask_for(&mut self, image: &str) {
        let window = vec!["daily 00:00-22:00 UTC".to_owned()];
        self.cluster.spec = NodeOsSpec { image: Some(image.to_owned()), window, ..NodeOsSpec::default() };
        self.nodes.iter_mut().for_each(|node| node.wake = self.now);
    }

    /// The operator asks all for a kubelet, and each has fetched it; those of `bad` do not work.
    fn ask_for_kubelet(&mut self, letter: char, bad: &[char]) {
        for node in &mut self.nodes {
            (node.machine.kubelet.wanted, node.machine.kubelet.bad) = (Some(letter), bad.to_vec());
            node.wake = self.now;
        }
    }

    /// The operator holds the rollout, or lets it go on.
    fn pause(&mut self, is_paused: bool) {
        self.cluster.spec.paused = is_paused;
        self.nodes.iter_mut().for_each(|node| node.wake = self.now);
    }

    /// Until `is_done`, or `limit` is over.
    fn run(&mut self, limit: u64, mut is_done: impl FnMut(&Self) -> bool) -> bool {
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
    fn steal(&mut self, thief: &str, slot: usize) {
        let slot = self.cluster.slots[slot].clone();
        let resource_version = self.cluster.lease(thief);
        let step = Step::TakeSlot { slot, resource_version, reason: "stolen".to_owned() };
        self.cluster.change(thief, &step, self.now, &mut self.rng);
    }

    fn alive(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| !node.is_gone)
    }

    fn all_run(&self, letter: char) -> bool {
        let wanted = release(letter).digest;
        self.alive().all(|node| node.machine.booted.digest == wanted && !node.machine.facts().os.on_trial)
    }

    fn holders(&self) -> BTreeSet<&str> {
        self.cluster.claims.keys().map(String::as_str).collect()
    }

    /// Nothing that was taken is kept.
    fn is_settled(&self) -> bool {
        let holders = self.holders();
        let is_free = |node: &Node| {
            let name = node.identity.name.as_str();
            let cordon = self.cluster.nodes.get(name).map(|node| node.snapshot.cordon);
            !holders.contains(name) && cordon == Some(Cordon::None)
        };
        self.alive().all(is_free)
    }

    /// What the run came to, for the message of an assertion.
    fn shown(&self) -> String {
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

impl Node {
    /// The agent begins anew at `at` and has forgotten everything.
    fn restart(&mut self, at: u64) {
        self.memory = Memory::default();
        self.started = at;
        self.wake = at;
    }

    fn pass(&mut self, snapshot: &ClusterSnapshot, now: u64) -> Decision {
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
    fn carry_out(
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

    fn change(&mut self, step: &Step, cluster: &mut Cluster, now: u64, rng: &mut Rng) -> bool {
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

/// A stolen node may claim any slot, and go from one to the other: it stands in the way, and nobody more goes down by it.
#[test]
fn who_claims_what_others_have_brings_nobody_down() {
    for seed in seeds() {
        let mut simulation = Simulation::new(seed, 3, &[]);
        simulation.ask_for(&release('b').image);
        // "a" comes before all names, "z" behind them: others let go what the one claims, and wait for the other.
        for (thief, letter) in [("a", 'b'), ("z", 'c')] {
            simulation.ask_for(&release(letter).image);
            for round in 0..60_usize {
                simulation.steal(thief, round % 3);
                simulation.run(60, |_| false);
            }
            simulation.cluster.claims.remove(thief);
            assert!(simulation.run(96 * HOUR, |all| all.all_run(letter)), "seed {seed}: {}", simulation.shown());
        }
    }
}

/// Two, or the one that is asked for: each costs every test some seconds of one core.
fn seeds() -> Vec<u64> {
    let one = std::env::var("BALLAST_SEED").ok().and_then(|seed| seed.parse().ok());
    one.map_or_else(|| (1..=2).collect(), |seed| vec![seed])
}

#[test]
fn a_healthy_rollout_ends() {
    for seed in seeds() {
        let mut simulation = Simulation::new(seed, 5, &[]);
        simulation.ask_for(&release('b').image);
        assert!(simulation.run(48 * HOUR, |all| all.all_run('b')), "seed {seed}: not all run b {}", simulation.shown());
        assert!(simulation.run(2 * HOUR, Simulation::is_settled), "seed {seed}: not settled {}", simulation.shown());
        assert!(simulation.most_down > 1, "seed {seed}: slots are used side by side");
    }
}

#[test]
fn a_rollout_of_a_tag_ends_although_nodes_burn_down() {
    for seed in seeds() {
        let mut simulation = Simulation::new(seed, 3, &[]);
        simulation.ask_for("r.example/os:stable");
        // Three times, whoever holds a slot is gone with it, and somebody deletes its Node, with which its Lease goes.
        for _ in 0..3 {
            assert!(simulation.run(12 * HOUR, |all| !all.holders().is_empty()), "seed {seed}: {}", simulation.shown());
            let holders: BTreeSet<String> = simulation.holders().into_iter().map(str::to_owned).collect();
            for node in simulation.nodes.iter_mut().filter(|node| holders.contains(&node.identity.name)) {
                node.is_gone = true;
                simulation.cluster.nodes.remove(&node.identity.name);
                simulation.cluster.claims.remove(&node.identity.name);
            }
        }
        assert!(simulation.run(96 * HOUR, |all| all.all_run('c')), "seed {seed}: not all run c {}", simulation.shown());
        assert!(simulation.run(2 * HOUR, Simulation::is_settled), "seed {seed}: not settled {}", simulation.shown());
    }
}

#[test]
fn a_bad_release_halts_and_a_better_one_goes_on() {
    for seed in seeds() {
        let mut simulation = Simulation::new(seed, 4, &['b']);
        simulation.ask_for(&release('b').image);
        assert!(!simulation.run(4 * HOUR, |all| all.all_run('b')));
        let tried = simulation.nodes.iter().filter(|node| node.machine.tried_bad).count();
        assert!((1..=4).contains(&tried), "seed {seed}: {tried} nodes tried it");
        assert_eq!(simulation.holders().len(), 4, "seed {seed}: all slots are kept");
        let claims = &simulation.cluster.claims;
        let reasons = claims.values().filter(|(_, claim)| claim.reason.contains("failed here")).count();
        assert_eq!(reasons, 4, "seed {seed}: and say why {claims:?}");
        simulation.ask_for(&release('c').image);
        assert!(simulation.run(48 * HOUR, |all| all.all_run('c')), "seed {seed}: not all run c {}", simulation.shown());
        assert!(simulation.run(2 * HOUR, Simulation::is_settled), "seed {seed}: not settled {}", simulation.shown());
    }
}

#[test]
fn a_rollout_that_is_paused_keeps_nothing() {
    for seed in seeds() {
        let mut simulation = Simulation::new(seed, 20, &[]);
        simulation.ask_for(&release('b').image);
        for round in 0..40 {
            // Long enough to be at anything, short enough that requests are on their way.
            simulation.run(5 + round, |_| false);
            simulation.pause(true);
            simulation.run(HOUR / 2, |_| false);
            assert!(simulation.is_settled(), "seed {seed}, round {round}: not settled {}", simulation.shown());
            simulation.pause(false);
        }
        assert!(simulation.run(12 * HOUR, |all| all.all_run('b')), "seed {seed}: not all run b {}", simulation.shown());
    }
}
