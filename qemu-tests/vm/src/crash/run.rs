//! Makes the states of a recording one after the other, reads each, and checks it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use super::check::verdict::{Boots, Expected, Fault, Verdict};
use super::check::{Facts, Inspector};
use super::cut::{Choice, Cut, Epoch, cuts_of, epochs};
use super::disk::{Region, Scratch};
use super::log::{Log, Write};
use super::marks::{self, Mark};
use super::random::Random;
use crate::tools::Tools;

/// Of the states that are chosen, so many parts of 16 are cuts in epochs that write to the ESP or the partition tables, as long as there are
/// such: there everything is decided, and there are few of them.
const BOOT_SHARE: usize = 8;

/// A recording: a folder with the disk before it, the log, and marks.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The disk before it
    pub base: PathBuf,
    /// What was written
    pub log: PathBuf,
    /// What happened when
    pub marks: PathBuf,
}

impl Recording {
    /// The one whose log lies at `log`, or in the folder `log`.
    pub fn at(log: &Path) -> Self {
        let folder = if log.is_dir() { log } else { log.parent().unwrap_or(Path::new(".")) };
        let log = if log.is_dir() { log.join("writes.log") } else { log.to_owned() };
        Self { base: folder.join("base.raw"), log, marks: folder.join("marks.json") }
    }

    /// The command that makes the state `cut` again.
    pub fn again(&self, cut: &Cut) -> String {
        format!("cargo run -p qemu-tests -- crash-states {} --state {cut} --disk crashed.raw", self.log.display())
    }
}

/// Which states are made.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Decides about random subsets, torn writes, and which states are chosen
    pub seed: u64,
    /// How many; none means all
    pub states: Option<usize>,
    /// Of which
    pub of: Of,
}

/// From which states a plan chooses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Of {
    /// All
    #[default]
    All,
    /// Those of epochs that write to the ESP or the partition tables
    Boot,
    /// Those of a disk that writes in the guest's order
    InOrder,
}

/// A state with faults, or one that is to be looked at closer.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The state
    pub cut: Cut,
    /// What is wrong with it
    pub verdict: Verdict,
    /// What was going on: the last mark before it
    pub during: String,
}

impl Finding {
    /// What is wrong, for people, with the command that makes the state again.
    pub fn describe(&self, recording: &Recording, seed: u64) -> String {
        let faults = self.verdict.faults.iter().map(|(fault, why)| format!("  {fault:?}: {why}\n"));
        let (cut, during) = (&self.cut, &self.during);
        format!(
            "state {cut} (seed {seed}), during {during}:\n{}  {}\n",
            faults.collect::<String>(),
            recording.again(cut)
        )
    }
}

/// What came of a recording.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How many states were made and checked
    pub states: usize,
    /// How many the recording has
    pub possible: usize,
    /// How many epochs it has
    pub epochs: usize,
    /// How many states boot which release
    pub boots: BTreeMap<Boots, usize>,
    /// How many have which fault
    pub faults: BTreeMap<Fault, usize>,
    /// Of how many was a file system mended by more than its journal
    pub mended: usize,
    /// Of how many was it which
    pub mended_parts: BTreeMap<&'static str, usize>,
    /// Those with faults
    pub findings: Vec<Finding>,
    /// Those without faults that were chosen to be booted: as many as there are with a file system that was mended, up to half
    pub well: Vec<Cut>,
    /// How long it took
    pub seconds: f64,
    /// How many contents of ESP, ROOT and VAR differ
    pub contents: [usize; 3],
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let boots = |which| self.boots.get(&which).copied().unwrap_or_default();
        let [esp, root, var] = self.contents;
        write!(
            f,
            "{} of {} states in {} epochs: {} boot the old release, {} the new one, {} neither; {} at fault, {} mended by fsck {:?}. \
             {esp} contents of ESP, {root} of ROOT and {var} of VAR in {:.0} s, {:.0} states a minute",
            self.states,
            self.possible,
            self.epochs,
            boots(Boots::Old),
            boots(Boots::New),
            boots(Boots::Neither),
            self.findings.len(),
            self.mended,
            self.mended_parts,
            self.seconds,
            self.states as f64 * 60.0 / self.seconds.max(f64::EPSILON)
        )
    }
}

/// A recording, ready for its states to be made.
#[derive(Debug)]
pub struct Run<'a> {
    inspector: Inspector<'a>,
    scratch: Scratch,
    epochs: Vec<Epoch>,
    marks: Vec<Mark>,
    expected: Expected,
    /// The epoch whose start the disk is at
    at: usize,
    recording: Recording,
}

impl<'a> Run<'a> {
    /// Reads a recording, and what its disk is before and behind it.
    ///
    /// # Errors
    /// When it cannot be read, or its first or last state is not what any other can be held against.
    pub fn of(tools: &'a Tools, recording: &Recording) -> Result<Self> {
        Self::with(tools, recording, &Log::read(&recording.log)?)
    }

    /// The same, of another log of the same writes.
    ///
    /// # Errors
    /// As [`Run::of`].
    pub fn with(tools: &'a Tools, recording: &Recording, log: &Log) -> Result<Self> {
        let mut run = Self::begin(tools, recording, log, marks::read(&recording.marks)?)?;
        let first = run.inspector.inspect(&run.scratch)?;
        let mut later = Vec::new();
        for mark in run.marks.clone().iter().filter(|mark| mark.boots.is_some()) {
            let at = run.at_entry(mark.entries);
            later.extend(at.map(|cut| run.facts(&cut)).transpose()?.map(|(facts, _)| facts));
        }
        run.go_to(run.epochs.len())?;
        run.inspector.learn_the_end(&run.scratch)?;
        let last = run.inspector.inspect(&run.scratch)?;
        later.push(last.clone());
        run.expected = Expected::of(&first, &later, run.marks.clone());
        let verdict = run.expected.verdict(&last, log.entries.len());
        ensure!(verdict.faults.is_empty(), "the end of the recording itself is at fault: {:?}", verdict.faults);
        // Back to the start: what was written is not kept anywhere.
        run.scratch = Scratch::of(&recording.base, &recording.log)?;
        run.at = 0;
        Ok(run)
    }

    fn begin(tools: &'a Tools, recording: &Recording, log: &Log, marks: Vec<Mark>) -> Result<Self> {
        let scratch = Scratch::of(&recording.base, &recording.log)?;
        let inspector = Inspector::of(tools, &scratch)?;
        let heeds_fua = marks.iter().any(|mark| mark.heeds_fua);
        let epochs = if heeds_fua { epochs(&log.clone().with_durable_commits()?) } else { epochs(log) };
        let recording = recording.clone();
        Ok(Self { inspector, scratch, epochs, marks, expected: Expected::default(), at: 0, recording })
    }

    /// Makes the states of `plan` and checks each. `boot` of those without a fault are chosen to be booted.
    ///
    /// # Errors
    /// When one cannot be made or looked at.
    pub fn all(&mut self, plan: Plan, boot: usize) -> Result<Outcome> {
        let began = Instant::now();
        let mut cuts = self.cuts(plan.seed);
        cuts.retain(|cut| match plan.of {
            Of::All => true,
            Of::Boot => self.is_about_booting(cut.epoch),
            Of::InOrder => matches!(cut.choice, Choice::Prefix(_)),
        });
        let mut outcome = Outcome { possible: cuts.len(), epochs: self.epochs.len(), ..Outcome::default() };
        let (mut well, mut odd) = (Vec::new(), Vec::new());
        for cut in self.chosen(cuts, plan) {
            let verdict = self.state(&cut).with_context(|| format!("state {cut}"))?;
            outcome.states += 1;
            *outcome.boots.entry(verdict.boots).or_default() += 1;
            outcome.mended += usize::from(!verdict.mended.is_empty());
            verdict.mended.iter().for_each(|part| *outcome.mended_parts.entry(part).or_default() += 1);
            if verdict.faults.is_empty() {
                let kind = if verdict.mended.is_empty() { &mut well } else { &mut odd };
                kind.push(cut);
                continue;
            }
            let faults: std::collections::BTreeSet<Fault> = verdict.faults.iter().map(|(fault, _)| *fault).collect();
            faults.into_iter().for_each(|fault| *outcome.faults.entry(fault).or_default() += 1);
            let during = self.during(&cut);
            outcome.findings.push(Finding { cut, verdict, during });
        }
        let mut random = Random::new(plan.seed ^ 0xb007);
        let odd = sample(odd, boot.div_ceil(2), &mut random);
        outcome.well = sample(well, boot - odd.len(), &mut random);
        outcome.well.extend(odd);
        outcome.contents = self.inspector.inspected();
        outcome.seconds = began.elapsed().as_secs_f64();
        Ok(outcome)
    }

    /// The verdict on one state.
    ///
    /// # Errors
    /// When it cannot be made or looked at.
    pub fn state(&mut self, cut: &Cut) -> Result<Verdict> {
        let (facts, latest) = self.facts(cut)?;
        Ok(self.expected.verdict(&facts, latest))
    }

    /// The first epoch behind which the new release boots: the one with the commit point.
    ///
    /// # Errors
    /// When there is none, or a state cannot be looked at.
    pub fn commit(&mut self) -> Result<Epoch> {
        for number in 0..self.epochs.len() {
            let whole = Cut { epoch: number, choice: Choice::Prefix(self.epochs[number].writes.len()) };
            if self.is_about_booting(number) && self.state(&whole)?.boots == Boots::New {
                return Ok(self.epochs[number].clone());
            }
        }
        bail!("the old release boots to the end")
    }

    /// The deployment that booted before the recording, COMMIT.SERIAL.
    pub fn old(&self) -> Option<&str> {
        self.expected.old()
    }

    /// The disk when the log had so many entries, with all of them on it; none before the first.
    fn at_entry(&self, entries: usize) -> Option<Cut> {
        let epoch = self.epochs.iter().rposition(|epoch| epoch.entries.start < entries)?;
        let writes = (entries - self.epochs[epoch].entries.start).min(self.epochs[epoch].writes.len());
        Some(Cut { epoch, choice: Choice::Prefix(writes) })
    }

    /// At which entry of the log the mark `name` is.
    pub fn marked(&self, name: &str) -> Option<usize> {
        self.marks.iter().find(|mark| mark.name == name).map(|mark| mark.entries)
    }

    /// Which parts of the disk a write changes.
    pub fn regions_of(&self, write: &Write) -> Vec<Region> {
        self.scratch.regions_of(write)
    }

    /// Writes the disk of one state to the raw file `to`.
    ///
    /// # Errors
    /// When it cannot be made or written.
    pub fn save(&mut self, cut: &Cut, to: &Path) -> Result<()> {
        self.made(cut, |run, _| run.scratch.save(to))
    }

    fn facts(&mut self, cut: &Cut) -> Result<(Facts, usize)> {
        self.made(cut, |run, latest| Ok((run.inspector.inspect(&run.scratch)?, latest)))
    }

    /// Makes a state, has `look` look at it, and takes it back.
    fn made<T>(&mut self, cut: &Cut, look: impl FnOnce(&mut Self, usize) -> Result<T>) -> Result<T> {
        self.go_to(cut.epoch)?;
        let epoch = self
            .epochs
            .get(cut.epoch)
            .with_context(|| format!("there is no epoch {}, only {}", cut.epoch, self.epochs.len()))?;
        let latest = cut.latest(epoch);
        self.scratch.apply(&epoch.writes, &cut.pieces(epoch))?;
        let found = look(self, latest);
        self.scratch.take_back()?;
        found
    }

    /// The disk at the start of an epoch: all before it is flushed.
    fn go_to(&mut self, epoch: usize) -> Result<()> {
        if epoch < self.at {
            self.scratch = Scratch::of(&self.recording.base, &self.recording.log)?;
            self.at = 0;
        }
        while self.at < epoch {
            let Some(passed) = self.epochs.get(self.at) else { break };
            let all = Cut { epoch: self.at, choice: Choice::Prefix(passed.writes.len()) };
            self.scratch.apply(&passed.writes, &all.pieces(passed))?;
            self.scratch.keep();
            self.at += 1;
        }
        Ok(())
    }

    /// All states of the recording, in the order of its epochs.
    fn cuts(&self, seed: u64) -> Vec<Cut> {
        let of =
            |(number, epoch): (usize, &Epoch)| cuts_of(number, epoch, &mut Random::new(seed ^ (number as u64) << 32));
        self.epochs.iter().enumerate().flat_map(of).collect()
    }

    /// Those of `cuts` that the plan has room for, in their order.
    fn chosen(&self, cuts: Vec<Cut>, plan: Plan) -> Vec<Cut> {
        let Some(states) = plan.states.filter(|states| *states < cuts.len()) else { return cuts };
        let mut random = Random::new(plan.seed);
        let (boot, other): (Vec<Cut>, Vec<Cut>) = cuts.into_iter().partition(|cut| self.is_about_booting(cut.epoch));
        let share = (states * BOOT_SHARE / 16).max(states.saturating_sub(other.len())).min(boot.len());
        let mut chosen = sample(boot, share, &mut random);
        chosen.extend(sample(other, states - share, &mut random));
        chosen.sort_unstable();
        chosen
    }

    fn is_about_booting(&self, epoch: usize) -> bool {
        let touches = |region: &Region| matches!(region, Region::Head | Region::Esp);
        self.epochs[epoch].writes.iter().any(|write| self.scratch.regions_of(write).iter().any(touches))
    }

    /// What was going on: the last mark before a cut.
    fn during(&self, cut: &Cut) -> String {
        let start = self.epochs[cut.epoch].entries.start;
        self.marks
            .iter()
            .rev()
            .find(|mark| mark.entries <= start)
            .map_or_else(|| "the start".to_owned(), |mark| mark.name.clone())
    }
}

/// So many of `all`, in their order.
fn sample(mut all: Vec<Cut>, count: usize, random: &mut Random) -> Vec<Cut> {
    while all.len() > count {
        let at = usize::try_from(random.below(all.len() as u64)).unwrap_or_default();
        all.swap_remove(at);
    }
    all.sort_unstable();
    all
}
