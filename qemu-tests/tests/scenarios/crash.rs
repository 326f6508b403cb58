//! P: every disk that a power cut could have left of a recording, made and checked without a boot (`qemu_vm::crash`).

use std::path::Path;

#[cfg(feature = "soak")]
use anyhow::Context;
use anyhow::{Result, bail, ensure};
use qemu_vm::crash::breach::{self, UPGRADE};
use qemu_vm::crash::check::verdict::Fault;
use qemu_vm::crash::figures::{Figures, Report};
use qemu_vm::crash::record::Recorder;
use qemu_vm::crash::run::{Of, Outcome, Plan, Recording, Run};
use qemu_vm::installed::Installed;
use qemu_vm::node::Node;
use qemu_vm::releases::Ended;
use qemu_vm::scenario::Scenario;
use qemu_vm::settings::set;
use qemu_vm::tools::Tools;

use crate::killed::seed;

/// States of the slice that `make test` has time for.
const STATES: usize = 300;
/// The settings' file as VAR has it.
const SETTINGS: &str = "/lib/ballast/settings.toml";

/// Records an upgrade with another kernel, and settings, in a node that runs; the power is cut at the end.
fn upgrade(scenario: &mut Scenario, folder: &Path) -> Result<Recording> {
    let mut host = Installed::on(scenario)?;
    let release = host.release("20261122.1")?.other_kernel()?.bulk(100_000);
    let (_, name) = host.publish(release)?;
    let mut recorder = Recorder::create(folder)?;
    host.record(&recorder.recording);
    let mut node = host.restored()?;
    settings_around_an_upgrade(&mut node, &mut recorder, &name)?;
    node.cut_power()?;
    Ok(recorder.recording)
}

/// Settings are set, the release `name` is prepared, settings are set again.
fn settings_around_an_upgrade(node: &mut Node, recorder: &mut Recorder, name: &str) -> Result<()> {
    recorder.mark("settings")?;
    set(&mut node.guest, "kernel.sysctl.net.core.somaxconn", "4096")?;
    recorder.answered("settings set", SETTINGS, Some("4096"))?;
    recorder.mark(UPGRADE)?;
    Ended::of(&mut node.guest, &["upgrade", name])?.done()?;
    recorder.answered_release("upgrade")?;
    set(&mut node.guest, "kernel.sysctl.net.core.somaxconn", "4097")?;
    recorder.answered("settings set again", SETTINGS, Some("4097"))
}

/// Makes and checks states; the disk of the first with a fault is kept.
fn states(run: &mut Run<'_>, recording: &Recording, plan: Plan, boot: usize) -> Result<Outcome> {
    let outcome = run.all(plan, boot)?;
    println!("{}: {outcome}", recording.log.display());
    if let Some(first) = outcome.findings.first() {
        let disk = recording.log.with_file_name("crashed.raw");
        run.save(&first.cut, &disk)?;
        let findings: String =
            outcome.findings.iter().take(5).map(|finding| finding.describe(recording, plan.seed)).collect();
        bail!(
            "{} of {} states are at fault; the disk of the first is {}\n{findings}",
            outcome.findings.len(),
            outcome.states,
            disk.display()
        );
    }
    Ok(outcome)
}

/// What a careless node would have left is found: otherwise the check would be worth nothing.
fn breaches_are_found(tools: &Tools, recording: &Recording) -> Result<()> {
    for (breach, outcome) in breach::outcomes(tools, recording)? {
        println!("{breach:?}: {outcome}");
        let found = outcome.faults.get(&Fault::Neither).copied().unwrap_or_default();
        ensure!(found > 0, "{breach:?} is not found in {} states", outcome.states);
    }
    Ok(())
}

/// P11 and P08: cuts while a release is fetched, deployed, committed, and while settings are written.
#[test]
fn p11_p08_crash_states_of_an_upgrade() {
    Scenario::run("p11_p08", |scenario| {
        let seed = seed()?;
        println!("p11_p08: BALLAST_SEED={seed}");
        let folder = scenario.lab.workspace.own("recordings").join("upgrade");
        let recording = upgrade(scenario, &folder)?;
        let tools = scenario.lab.tools.clone();
        let mut run = Run::of(&tools, &recording)?;
        let outcome = states(&mut run, &recording, Plan { seed, states: Some(STATES), of: Of::All }, 0)?;
        ensure!(outcome.states == STATES, "only {} states were made", outcome.states);
        let report = scenario.lab.workspace.target.join("bench/powercut-slice.json");
        Report::note(&report, "upgrade", &Figures::of(seed, &outcome))?;
        breaches_are_found(&tools, &recording)
    });
}

#[cfg(feature = "soak")]
mod recordings;
/// Each recording with some thousand of its states, and some of them booted.
#[cfg(feature = "soak")]
mod soak;
