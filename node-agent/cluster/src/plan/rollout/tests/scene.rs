//! A node and its cluster, as the tables of the rollout change them.

use std::time::Duration;

use crate::{
    model::{
        Claim, ClusterSnapshot, Cordon, Decision, Facts, Fetch, Identity, Memory, NodeOsSnapshot, NodeOsSpec,
        NodeSnapshot, Order, Os, Phase, PodId, PodKind, PodSnapshot, Release, Role, Slot, Step,
    },
    plan::rollout::{Context, pass},
};

/// A node and its cluster, of which a table's line changes something.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) facts: Facts,
    pub(super) snapshot: ClusterSnapshot,
    pub(super) identity: Identity,
    pub(super) memory: Memory,
    pub(super) now: Duration,
    pub(super) unix_secs: i64,
}

pub(super) fn digest_of(letter: &str) -> String {
    format!("sha256:{}", letter.repeat(64))
}

pub(super) fn release(letter: &str) -> Release {
    Release {
        image: format!("r.example/os@{}", digest_of(letter)),
        digest: digest_of(letter),
        version: letter.to_owned(),
    }
}

impl Scene {
    /// Release a runs and is well, b is asked for; one slot is free, nothing is cordoned, no pod is there.
    pub(super) fn new() -> Self {
        let spec = NodeOsSpec { image: Some(release("b").image), ..NodeOsSpec::default() };
        let pool = "default".to_owned();
        let slot = Slot { name: "s".to_owned(), pool, ..Slot::default() };
        Self {
            facts: Facts {
                boot_id: "boot".to_owned(),
                ready: Ok(()),
                clock_is_set: true,
                os: Os { booted: release("a"), ..Os::default() },
                ..Facts::default()
            },
            snapshot: ClusterSnapshot {
                node_os: Some(NodeOsSnapshot { spec, resolved: None }),
                node: Some(NodeSnapshot { cordon: Cordon::None, resource_version: "1".to_owned() }),
                slots: Some(vec![slot]),
                lease: Some("1".to_owned()),
                pods: Some(Vec::new()),
            },
            identity: Identity { name: "me".to_owned(), role: Role::Node, pool: "default".to_owned() },
            // It has said that it goes down.
            memory: Memory {
                about: ("boot".to_owned(), Some(release("b").image)),
                reported_from: Some("1".to_owned()),
                ..Memory::default()
            },
            now: Duration::from_secs(10_000),
            unix_secs: 0,
        }
    }

    pub(super) fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut scene = self.clone();
        change(&mut scene);
        scene
    }

    pub(super) fn spec(&mut self) -> &mut NodeOsSpec {
        &mut self.snapshot.node_os.as_mut().unwrap().spec
    }

    pub(super) fn slot(&mut self) -> &mut Slot {
        self.snapshot.slots.as_mut().unwrap().first_mut().unwrap()
    }

    pub(super) fn hold(&mut self, name: &str) {
        let (node, resource_version) = (name.to_owned(), "2".to_owned());
        self.slot().claims.push(Claim { node, resource_version, ..Claim::default() });
    }

    pub(super) fn says(&mut self, reason: &str) {
        self.slot().claims.first_mut().unwrap().reason = reason.to_owned();
    }

    pub(super) fn cordon(&mut self, cordon: Cordon) {
        self.snapshot.node.as_mut().unwrap().cordon = cordon;
    }

    /// The Node is seen, with our cordon.
    pub(super) fn cordon_again(&mut self) {
        self.snapshot.node = Some(NodeSnapshot { cordon: Cordon::Ours, resource_version: "2".to_owned() });
    }

    pub(super) fn pod(&mut self, name: &str, kind: PodKind) {
        let id = PodId { namespace: "default".to_owned(), name: name.to_owned(), uid: name.to_owned() };
        self.snapshot.pods.as_mut().unwrap().push(PodSnapshot { id, kind });
    }

    pub(super) fn pass(&mut self) -> Decision {
        let context = Context {
            facts: &self.facts,
            snapshot: &self.snapshot,
            identity: &self.identity,
            now: self.now,
            unix_secs: self.unix_secs,
        };
        pass(&context, &mut self.memory)
    }

    /// `PHASE: step`
    pub(super) fn shown(mut self) -> String {
        let decision = self.pass();
        format!("{:?}: {}", decision.phase, decision.step.as_ref().map_or("-", step))
    }
}

pub(super) fn step(step: &Step) -> &'static str {
    match step {
        Step::Fetch(Fetch::Node) => "fetch node",
        Step::Fetch(Fetch::Slots { is_fresh: true }) => "fetch slots",
        Step::Fetch(Fetch::Slots { is_fresh: false }) => "fetch slots, maybe cached",
        Step::Fetch(Fetch::Lease) => "fetch lease",
        Step::Fetch(Fetch::Pods) => "fetch pods",
        Step::Order(Order::Prepare { .. }) => "prepare",
        Step::Order(Order::Reboot { .. }) => "reboot",
        Step::Order(Order::Kubelet { .. }) => "kubelet",
        Step::TakeSlot { .. } => "take",
        Step::AnnotateSlot { .. } => "report",
        Step::GiveSlotBack { .. } => "give back",
        Step::Cordon { .. } => "cordon",
        Step::Uncordon { .. } => "uncordon",
        Step::Evict { .. } => "evict",
        Step::Remove { .. } => "remove",
    }
}

pub(super) fn check(table: Vec<(&str, Scene, &str)>) {
    for (what, scene, expected) in table {
        assert_eq!(scene.shown(), expected, "{what}");
    }
}

/// b boots next.
pub(super) fn prepared() -> Scene {
    Scene::new().with(|scene| scene.facts.os.next = Some(release("b")))
}

/// The slot is ours.
pub(super) fn in_slot() -> Scene {
    prepared().with(|scene| scene.hold("me"))
}

/// It is cordoned, too.
pub(super) fn draining() -> Scene {
    in_slot().with(|scene| {
        scene.cordon(Cordon::Ours);
        scene.memory.phase = (Phase::Draining, scene.now);
    })
}
