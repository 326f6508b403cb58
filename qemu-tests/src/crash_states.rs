//! `crash-states`: the disks that a power cut could have left of a recording.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;

use qemu_vm::crash::breach;
use qemu_vm::crash::cut::Cut;
use qemu_vm::crash::figures::Figures;
use qemu_vm::crash::log::Log;
use qemu_vm::crash::lying::drops_flushes;
use qemu_vm::crash::run::{Of, Outcome, Plan, Recording, Run};
use qemu_vm::tools::Tools;
use qemu_vm::workspace::Workspace;

/// Of many states with faults so many are printed; all are counted.
const MAX_PRINTED: usize = 20;

/// Make the disks that a power cut could have left of a recording, and check each without booting it
///
/// A recording is a folder with base.raw (the disk before it), writes.log (QEMU's blklogwrites) and marks.json. The tests leave theirs under
/// target/qemu-tests/recordings/. Which states there are: every prefix of the writes since the last flush, each of them missing, each alone,
/// each torn at 512 and 4096 bytes, and random subsets. It ends with an error if one is at fault.
#[derive(Debug, Args)]
pub(super) struct CrashStates {
    /// The log, or the folder with it
    #[arg(value_name = "LOG")]
    log: PathBuf,
    /// How many states; those that write to the ESP or the partition table come first [default: all]
    #[arg(long, value_name = "N")]
    states: Option<usize>,
    /// Only those that write to the ESP or the partition table
    #[arg(long)]
    boot_only: bool,
    /// What decides about random subsets and torn writes
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// Only this state, as a failure names it: EPOCH:prefix:N, EPOCH:without:N, …
    #[arg(long, value_name = "STATE")]
    state: Option<Cut>,
    /// Write the disk of --state to this raw file, to boot it or to look into it
    #[arg(long, value_name = "FILE", requires = "state")]
    disk: Option<PathBuf>,
    /// Of an upgrade: commit three breaches in it (see vm/src/crash/breach.rs), and tell what is found of each
    #[arg(long, conflicts_with_all = ["state", "states", "json"])]
    breaches: bool,
    /// As if the disk heeded each N-th flush only
    #[arg(long, value_name = "N", conflicts_with = "breaches")]
    lying: Option<usize>,
    /// Print figures as JSON
    #[arg(long)]
    json: bool,
}

impl CrashStates {
    pub(super) fn run(&self) -> Result<()> {
        let tools = Tools::find(&Workspace::find())?;
        let recording = Recording::at(&self.log);
        if self.breaches {
            for (breach, outcome) in breach::outcomes(&tools, &recording)? {
                println!("{breach:?}: {outcome}");
                ensure!(!outcome.findings.is_empty(), "{breach:?} is not found");
            }
            return Ok(());
        }
        let log = Log::read(&recording.log)?;
        let log = self.lying.map_or(log.clone(), |every| drops_flushes(&log, every));
        let mut run = Run::with(&tools, &recording, &log)?;
        if let Some(cut) = &self.state {
            let verdict = run.state(cut)?;
            if let Some(file) = &self.disk {
                run.save(cut, file)?;
                println!("the disk is {}; boot it: cargo run -p qemu-tests -- boot --disk {0}", file.display());
            }
            println!("{cut}: boots {:?}, {} faults, mended: {:?}", verdict.boots, verdict.faults.len(), verdict.mended);
            verdict.faults.iter().for_each(|(fault, why)| println!("  {fault:?}: {why}"));
            ensure!(verdict.faults.is_empty(), "the state {cut} is at fault");
            return Ok(());
        }
        let of = if self.boot_only { Of::Boot } else { Of::All };
        let outcome = run.all(Plan { seed: self.seed, states: self.states, of }, 0)?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&Figures::of(self.seed, &outcome))?);
        } else {
            println!("{}", describe(&outcome, &recording, self.seed));
        }
        ensure!(outcome.findings.is_empty(), "{} of {} states are at fault", outcome.findings.len(), outcome.states);
        Ok(())
    }
}

/// The outcome for people; each fault with the command that makes its state again.
fn describe(outcome: &Outcome, recording: &Recording, seed: u64) -> String {
    let mut text = String::new();
    for finding in outcome.findings.iter().take(MAX_PRINTED) {
        text += &finding.describe(recording, seed);
    }
    if outcome.findings.len() > MAX_PRINTED {
        text += &format!("… and {} more\n", outcome.findings.len() - MAX_PRINTED);
    }
    text + &outcome.to_string()
}
