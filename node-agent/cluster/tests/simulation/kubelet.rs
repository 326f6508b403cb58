//! Other versions of the kubelet take their turns as releases do.

use super::{HOUR, Simulation, seeds};

#[test]
fn another_minor_kubelet_takes_its_turn_and_a_bad_one_halts() {
    for seed in seeds() {
        let mut simulation = Simulation::new(seed, 4, &[]);
        simulation.ask_for_kubelet('a', &['c']);
        simulation.nodes.iter_mut().for_each(|node| node.machine.kubelet.runs = Some('a'));
        assert!(simulation.run(12 * HOUR, Simulation::is_settled), "seed {seed}: {}", simulation.shown());
        simulation.ask_for_kubelet('b', &['c']);
        let all_run =
            |letter: char| move |all: &Simulation| all.alive().all(|node| node.machine.kubelet.runs == Some(letter));
        assert!(simulation.run(48 * HOUR, all_run('b')), "seed {seed}: not all run b {}", simulation.shown());
        assert!(simulation.run(2 * HOUR, Simulation::is_settled), "seed {seed}: not settled {}", simulation.shown());
        assert!(simulation.most_down > 0, "seed {seed}: no node was emptied");
        simulation.ask_for_kubelet('c', &['c']);
        assert!(!simulation.run(4 * HOUR, all_run('c')));
        let tried = simulation.nodes.iter().filter(|node| node.machine.tried_bad).count();
        assert!((1..=4).contains(&tried), "seed {seed}: {tried} nodes tried it");
        assert_eq!(simulation.holders().len(), 4, "seed {seed}: all slots are kept");
        simulation.ask_for_kubelet('d', &['c']);
        assert!(simulation.run(48 * HOUR, all_run('d')), "seed {seed}: not all run d {}", simulation.shown());
    }
}
