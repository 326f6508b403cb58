//! P08: the power is cut while settings are written. What was answered is there, and what is there is whole.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use qemu_vm::console::Console;
use qemu_vm::deadline::Deadline;
use qemu_vm::invariants;
use qemu_vm::lab::Options;
use qemu_vm::node::Node;
use qemu_vm::scenario::Scenario;
use qemu_vm::settings::{get, set};

use super::reported;
use crate::killed::{Moments, seed};

/// The least number that is written.
const FIRST: u32 = 1000;
/// In so long an emulated node writes some dozen times.
const WRITING: Duration = Duration::from_secs(12);
/// What is on the console before each number that was answered.
const ANSWERED: &str = "p08-answered=";

/// Changes follow each other, each with its number, until the power is cut after `moment`; gives the last that was answered.
fn cut(mut node: Node, first: u32, moment: Duration) -> Result<u32> {
    // The console is what still reports a node that is gone.
    let script = format!(
        "n={first}; while :; do n=$((n + 1)); \
         ballast settings set runtime.pids_limit $n >/dev/null && echo {ANSWERED}$n >/dev/console; done"
    );
    node.guest.ask(&format!("sh -c '{script}' >/dev/null 2>&1 &"))?;
    let console = node.console.clone();
    console.wait_for(ANSWERED, Deadline::secs(120)).context("waiting for the first answer")?;
    std::thread::sleep(moment);
    node.cut_power()?;
    Ok(last(&console).unwrap_or(first))
}

fn last(console: &Console) -> Option<u32> {
    // The last line may lack its end: then its number may lack digits.
    let lines = console.lines();
    let whole = lines.iter().rev().skip(1);
    whole.filter_map(|line| line.text.split_once(ANSWERED)?.1.trim().parse().ok()).next()
}

fn power_cuts(name: &str, times: u32) {
    Scenario::run(name, |scenario| {
        let seed = seed()?;
        println!("{name}: BALLAST_SEED={seed}");
        let mut moments = Moments::of(seed, name);
        let options = Options { smp: 1, disk: Some(scenario.disk()?), ..Options::default() };
        let mut node = scenario.healthy(&options)?;
        let mut last = FIRST;
        for number in 1..=times {
            let moment = moments.next(WRITING);
            let what = || format!("cut {number} of {times}, after {:.1} s (BALLAST_SEED={seed})", moment.as_secs_f64());
            println!("{}", what());
            let answered = cut(node, last, moment).with_context(what)?;
            node = reported(scenario, &options, "node").with_context(what)?;
            last = whole(&mut node, answered).with_context(what)?;
        }
        node.status_when("the canary pod runs", 120, |status| status.runs("canary"))?;
        invariants::check(&mut node, &scenario.lab.image)?;
        node.power_off()
    });
}

/// The settings are those that were answered last, or the ones that were being written; and nothing half-made is left.
fn whole(node: &mut Node, answered: u32) -> Result<u32> {
    let problems = node.status()?.settings.problems;
    ensure!(problems.is_empty(), "P08: {problems:?}");
    let found: u32 = get(&mut node.guest, "runtime.pids_limit").context("P08")?.parse()?;
    // The last answer may not have come as far as the console.
    ensure!((answered..=answered + 2).contains(&found), "P08: answered was {answered}, there is {found}");
    let left = node.guest.ask("ls -A /var/lib/ballast")?;
    // A file that was being written when the power went has a name of its own, which the next one takes.
    ensure!(!left.contains("trial") && !left.contains("before"), "P08: there is a trial that nobody began: {left}");
    set(&mut node.guest, "runtime.pids_limit", &(found + 1).to_string()).context("P08")?;
    let parts = node.guest.ask("ls -A /var/lib/ballast")?;
    ensure!(!parts.contains("settings.toml."), "P08: {parts} is left");
    Ok(found + 1)
}

/// What a cut loses is in make test by its crash states (`crash.rs`); here QEMU ends, at any moment.
mod soak {
    #[test]
    fn p08_power_cut_while_settings_are_written() {
        super::power_cuts("p08", 2);
    }

    #[test]
    fn p08_power_cut_fifty_times_while_settings_are_written() {
        super::power_cuts("p08_fifty", 50);
    }
}
