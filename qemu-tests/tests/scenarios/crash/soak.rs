//! All that writes to the disk is recorded, all states of it are made, and a sample is booted.

use qemu_vm::credentials::Credential;
use qemu_vm::deadline::Deadline;
use qemu_vm::disk::Disk;
use qemu_vm::lab::Options;
use qemu_vm::node::{Node, READY};
use qemu_vm::releases::Releases;
use qemu_vm::settings::Said;

use super::*;
use crate::install::grown;

/// All recordings together have at least so many states, and so many of them are booted.
const LEAST: usize = 10_000;
const BOOTED: usize = 100;
/// Of each so many are made, of those that it has: a minute has room for some hundred.
const OF_EACH: usize = 3000;

type Record = fn(&mut Installed<'_>, &mut Recorder) -> Result<()>;

/// What is recorded: its name, and what the node does meanwhile. Each starts from a disk of its own, not booted yet.
const RECORDINGS: [(&str, Record); 4] =
    [("first-boot", first_boot), ("upgrade", upgraded), ("settings", settings), ("rollback", rolled_back)];

/// The first boot: identities, settings of the platform, growing, blessing.
fn first_boot(host: &mut Installed<'_>, recorder: &mut Recorder) -> Result<()> {
    host.record(&recorder.recording);
    let mut node = host.boot()?;
    grown(&mut node)?;
    recorder.mark("grown and blessed")?;
    node.power_off()
}

/// An upgrade to its end: fetched, deployed, committed, counted, blessed, what is old collected.
fn upgraded(host: &mut Installed<'_>, recorder: &mut Recorder) -> Result<()> {
    host.boot()?.power_off()?;
    let (_, name) = host.publish(host.release("20261122.1")?.other_kernel()?.bulk(100_000))?;
    host.record(&recorder.recording);
    let mut node = host.boot()?;
    recorder.mark(UPGRADE)?;
    Ended::of(&mut node.guest, &["upgrade", &name])?.done()?;
    recorder.answered_release("upgrade")?;
    node.reboot_to_exit()?;
    let mut node = host.boot()?;
    recorder.mark("blessed")?;
    Ended::of(&mut node.guest, &["collect"])?.done()?;
    recorder.mark("collected")?;
    node.power_off()
}

/// Settings: set, tried and taken back, tried and confirmed.
fn settings(host: &mut Installed<'_>, recorder: &mut Recorder) -> Result<()> {
    host.boot()?.power_off()?;
    host.record(&recorder.recording);
    let mut node = host.boot()?;
    for number in 1..=5 {
        set(&mut node.guest, "runtime.pids_limit", &(1000 + number).to_string())?;
        recorder.answered("settings set", SETTINGS, Some(&(1000 + number).to_string()))?;
    }
    Said::of(&mut node.guest, &["set", "hostname", "tried", "--try", "10m"])?.done()?;
    // What is tried may be taken back by any boot that follows.
    recorder.answered("settings set --try", SETTINGS, Some("1005"))?;
    Said::of(&mut node.guest, &["confirm"])?.done()?;
    recorder.answered("settings confirm", SETTINGS, Some("tried"))?;
    node.power_off()
}

/// Back to the release before.
fn rolled_back(host: &mut Installed<'_>, recorder: &mut Recorder) -> Result<()> {
    let node = host.boot()?;
    let (_, name) = host.publish(host.release("20261122.1")?.other_kernel()?)?;
    host.upgrade_and_reboot(node, &name)?;
    host.boot()?.power_off()?;
    host.record(&recorder.recording);
    let mut node = host.boot()?;
    recorder.mark("rollback begins")?;
    Ended::of(&mut node.guest, &["rollback"])?.done()?;
    recorder.answered_release("rollback")?;
    node.reboot_to_exit()?;
    host.boot()?.power_off()
}

/// Boots a state's disk to READY, and has an upgrade run to its end; whether it did. The release that runs has to be the one that the check
/// said systemd-boot would take.
fn boots(host: &mut Installed<'_>, disk: Disk, deployment: &str, name: &str) -> Result<bool> {
    let options = Options { disk: Some(disk), ..host.options.clone() };
    let mut node: Node = host.scenario.start(&options)?;
    node.ready(Deadline::after(READY))?;
    let mut node = host.settled(node)?;
    let booted = Releases::now(&mut node.guest)?.booted()?.commit.clone();
    ensure!(deployment.starts_with(&booted), "{booted} runs, expected {deployment}");
    let ended = Ended::once_idle(&mut node.guest, &["upgrade", name])?.done();
    println!("{booted} runs; its upgrade: {ended:?}");
    node.discard();
    Ok(ended.is_ok())
}

/// P09, P11: of all that is recorded, all states; 0 that boot neither release, are damaged, or have lost what was answered.
#[test]
fn p09_p11_ten_thousand_crash_states() {
    Scenario::run("p09_p11", |scenario| {
        let seed = seed()?;
        println!("p09_p11: BALLAST_SEED={seed}");
        let mut figures = Figures::new(seed);
        let (tools, workspace) = (scenario.lab.tools.clone(), scenario.lab.workspace.clone());
        for (name, record) in RECORDINGS {
            let mut recorder = Recorder::create(&workspace.own("recordings").join(name))?;
            let mut host = Installed::on(scenario)?;
            host.options.credentials.push(Credential::new("ballast.settings", "runtime.pids_limit = 1000\n")?);
            record(&mut host, &mut recorder).with_context(|| format!("recording {name}"))?;
            let recording = &recorder.recording;
            let mut run = Run::of(&tools, recording)?;
            let plan = Plan { seed, states: Some(OF_EACH), boot_only: false };
            let outcome = states(&mut run, recording, plan, BOOTED / RECORDINGS.len())?;
            figures.add(name, &outcome);
            let (_, next) = host.publish(host.release("20261123.1")?)?;
            for cut in &outcome.well {
                let file = host.scenario.scratch().join("crashed.raw");
                run.save(cut, &file)?;
                let what = || format!("{name}: booting the state {cut}");
                let expected = run.state(cut)?.boots;
                let deployment = run.deployment(expected).with_context(what)?.to_owned();
                let ended = boots(&mut host, Disk::raw(file), &deployment, &next).with_context(what)?;
                figures.booted += 1;
                figures.upgrade_after_failed += usize::from(!ended);
            }
            figures.write(&workspace.target.join("bench/powercut.json"))?;
        }
        ensure!(figures.states >= LEAST, "there are {} states, not {LEAST}", figures.states);
        ensure!(figures.booted >= BOOTED, "{} states were booted, not {BOOTED}", figures.booted);
        ensure!(figures.upgrade_after_failed == 0, "{} states do not upgrade", figures.upgrade_after_failed);
        Ok(())
    });
}
