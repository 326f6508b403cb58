//! All that writes to the disk is recorded, states of it are made, and a sample is booted: one test for each recording.

use std::path::PathBuf;
use std::sync::OnceLock;

use qemu_vm::crash::cut::Cut;
use qemu_vm::crash::log::Log;
use qemu_vm::crash::lying::drops_flushes;
use qemu_vm::disk::Disk;
use qemu_vm::lab::Options;
use qemu_vm::releases::Releases;

use super::recordings::{self, Kept};
use super::*;

/// All recordings together have at least so many states, and so many of them are booted.
const LEAST: usize = 10_000;
const LEAST_BOOTED: usize = 100;
/// How many recordings there are: the tests below.
const RECORDINGS: usize = 9;
/// Of each so many states are made and booted.
const OF_EACH: usize = 1200;
const BOOTED: usize = 12;
const _: () = assert!(RECORDINGS * OF_EACH >= LEAST && RECORDINGS * BOOTED >= LEAST_BOOTED);
/// A disk that lies loses what it was given since so many flushes at most; of each such disk so many states are made.
const LOSES: [usize; 2] = [4, 32];
const LYING: usize = 100;

type Record = fn(&mut Installed<'_>, &mut Recorder) -> Result<Kept>;

/// One for all tests of a run, so that one number makes them all again.
fn one_seed() -> Result<u64> {
    static SEED: OnceLock<u64> = OnceLock::new();
    let new = seed()?;
    Ok(*SEED.get_or_init(|| new))
}

/// `BALLAST_BOOTS`, or [`BOOTED`]: how many states of a recording are booted.
fn boots_wanted() -> Result<usize> {
    match std::env::var("BALLAST_BOOTS") {
        Ok(text) => text.parse().with_context(|| format!("BALLAST_BOOTS={text:?}")),
        Err(_) => Ok(BOOTED),
    }
}

/// P09, P11: of what `record` records, states that boot neither release, are damaged, or have lost what was answered: none.
fn holds(name: &str, record: Record) {
    holds_and(name, record, |_, _, _| Ok(()));
}

/// The same, and what else is to be found out from the recording.
fn holds_and(name: &str, record: Record, more: impl FnOnce(&Tools, &Recording, &mut Figures) -> Result<()>) {
    Scenario::run(&format!("p09_p11_{name}"), |scenario| {
        let seed = one_seed()?;
        println!("p09_p11_{name}: BALLAST_SEED={seed}");
        let report = scenario.lab.workspace.target.join("bench/powercut.json");
        let tools = scenario.lab.tools.clone();
        let mut recorder = Recorder::create(&scenario.lab.workspace.own("recordings").join(name))?;
        let mut host = Installed::on(scenario)?;
        let _kept = record(&mut host, &mut recorder).with_context(|| format!("recording {name}"))?;
        println!("p09_p11_{name}: recorded");
        let recording = &recorder.recording;
        let mut run = Run::of(&tools, recording)?;
        let plan = Plan { seed, states: Some(OF_EACH), of: Of::All };
        let wanted = boots_wanted()?;
        let outcome = states(&mut run, recording, plan, wanted)?;
        let mut figures = Figures::of(seed, &outcome);
        more(&tools, recording, &mut figures)?;
        Report::note(&report, name, &figures)?;
        let (_, next) = host.publish(host.release("20261123.1")?)?;
        for cut in &outcome.well {
            let ended = boots(&mut host, &mut run, recording, cut, &next)?;
            figures.booted += 1;
            figures.upgrade_after_failed += usize::from(!ended);
            Report::note(&report, name, &figures)?;
        }
        ensure!(figures.states == OF_EACH, "there are only {} states", figures.states);
        ensure!(figures.booted == wanted, "{} states were booted, not {wanted}", figures.booted);
        ensure!(figures.upgrade_after_failed == 0, "{} states do not upgrade", figures.upgrade_after_failed);
        Ok(())
    });
}

/// Boots a state, and has an upgrade run to its end; whether it did. The release that runs has to be the one that the check said systemd-boot
/// would take, or the one before if that one does not come up. The disk is kept if anything is wrong.
fn boots(host: &mut Installed<'_>, run: &mut Run<'_>, recording: &Recording, cut: &Cut, next: &str) -> Result<bool> {
    let file = host.scenario.scratch().join("crashed.raw");
    run.save(cut, &file)?;
    let deployment = run.state(cut)?.deployment.context("no release boots")?;
    let old = run.old().context("no release booted before")?.to_owned();
    let outcome = upgrades(host, Disk::raw(file.clone()), &deployment, &old, next);
    if let Ok(true) = outcome {
        return Ok(true);
    }
    let kept = kept(&file, recording)?;
    let again = recording.again(cut);
    println!(
        "{}: booted, this state fails: {again}\n  as it is now: boot --disk {}",
        recording.log.display(),
        kept.display()
    );
    outcome.with_context(|| format!("booting the state {cut}; the disk is {}; made again by {again}", kept.display()))
}

fn kept(file: &Path, recording: &Recording) -> Result<PathBuf> {
    let to = recording.log.with_file_name("booted.raw");
    std::fs::rename(file, &to).with_context(|| format!("keeping {}", file.display()))?;
    Ok(to)
}

fn upgrades(host: &mut Installed<'_>, disk: Disk, deployment: &str, old: &str, next: &str) -> Result<bool> {
    let before = host.options.clone();
    host.options = Options { disk: Some(disk), ..before.clone() };
    let settled = host.boot_until_settled(qemu_vm::installed::TRIES);
    host.options = before;
    let (mut node, failed) = settled?;
    let booted = Releases::now(&mut node.guest)?.booted()?.commit.clone();
    let is_it = deployment.starts_with(&booted) || (!failed.is_empty() && old.starts_with(&booted));
    ensure!(is_it, "{booted} runs after {} failed boots, expected {deployment}", failed.len());
    let ended = Ended::once_idle(&mut node.guest, &["upgrade", next])?.done();
    println!("{booted} runs; its upgrade: {ended:?}");
    node.discard();
    Ok(ended.is_ok())
}

/// The same upgrade on a disk that drops flushes. As long as it writes in the guest's order, what boots is whole, and only what was answered
/// may be lost; one that writes in any order may leave nothing that boots, which has to show: then the check would find it.
fn on_lying_disks(tools: &Tools, recording: &Recording, figures: &mut Figures) -> Result<()> {
    let log = Log::read(&recording.log)?;
    for every in LOSES {
        for (order, of) in [("in order", Of::InOrder), ("in any order", Of::All)] {
            let mut run = Run::with(tools, recording, &drops_flushes(&log, every))?;
            let outcome = run.all(Plan { seed: figures.seed, states: Some(LYING), of }, 0)?;
            println!("a disk that loses {every} flushes, and writes {order}: {outcome}");
            let found = Figures::of(figures.seed, &outcome);
            ensure!(of == Of::All || (found.neither, found.damaged) == (0, 0), "in order, it bricks: {found:?}");
            figures.lying.insert(format!("{every} flushes, {order}"), found);
        }
    }
    Ok(())
}

#[test]
fn p09_p11_first_boot() {
    holds("first-boot", recordings::first_boot);
}

#[test]
fn p09_p11_upgrade_and_lying_disks() {
    holds_and("upgrade", recordings::upgrade, on_lying_disks);
}

#[test]
fn p09_p08_p11_settings() {
    holds("settings", recordings::settings);
}

#[test]
fn p09_p11_pin_and_rollback() {
    holds("rollback", recordings::rollback);
}

#[test]
fn p09_p11_fallback_and_denial() {
    holds("fallback", recordings::fallback);
}

#[test]
fn p09_p11_cluster_joined_and_certificate_renewed() {
    holds("cluster", recordings::cluster);
}

#[test]
fn p09_p11_pods() {
    holds("pods", recordings::pods);
}

#[test]
fn p09_p11_nvme() {
    holds("nvme", recordings::nvme);
}

#[test]
fn p09_p11_sata() {
    holds("sata", recordings::sata);
}
