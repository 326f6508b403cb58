//! 200 nodes roll through a pool, by the plan that the agent runs, over a fake API and fake machines. At each step an agent or a machine may
//! crash, a request or its answer may be lost or come true much later, and clocks are wrong. The same seed is the same run:
//! `BALLAST_SEED=7 cargo test -p ballast-cluster --test simulation`.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

mod cluster;
mod fleet;
mod kubelet;
mod machine;
mod node;
mod rng;

use std::collections::BTreeSet;

use self::{
    fleet::{HOUR, Simulation},
    machine::release,
};

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
