//! Whether a node comes up from a state of its disk, with which release, and whether anything is lost. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::Facts;
use super::esp::View;
use super::loader::Entry;
use super::root;
use super::table::{Partition, Tables};
use crate::crash::marks::{Mark, Promise};

const PARTITIONS: [&str; 3] = ["ballast-esp", "ballast-root", "ballast-var"];

/// Which release boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Boots {
    /// The one that booted before the recording
    Old,
    /// One that the recording brought
    New,
    /// None that is whole
    Neither,
}

/// What is wrong with a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// What the boot loader would start is not whole, or nothing is there to start
    Neither,
    /// A file system or the repository is damaged
    Damaged,
    /// What the node had answered for is not there
    Lost,
}

/// The verdict on one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Which release boots
    pub boots: Boots,
    /// The deployment that the firmware starts, COMMIT.SERIAL
    pub deployment: Option<String>,
    /// What is wrong, and how
    pub faults: Vec<(Fault, String)>,
    /// Which file systems were mended by more than their journals
    pub mended: Vec<&'static str>,
}

/// What states are held against: how it was before the recording and is behind it.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    old: Option<String>,
    new: BTreeSet<String>,
    partitions: BTreeMap<String, u64>,
    loader: BTreeMap<String, Result<String, String>>,
    entries: Vec<Entry>,
    marks: Vec<Mark>,
}

impl Expected {
    /// From the first state, those at which the node answered which release boots, and the last one.
    pub fn of(first: &Facts, later: &[Facts], marks: Vec<Mark>) -> Self {
        let starts = |partition: &Partition| (partition.label.clone(), partition.start);
        let next = |facts: &Facts| facts.esp.firmware.entries.first().and_then(deployment);
        Self {
            old: next(first),
            new: later.iter().filter_map(next).filter(|later| Some(later) != next(first).as_ref()).collect(),
            partitions: first.tables.first.iter().flatten().map(starts).collect(),
            loader: first.esp.firmware.loader.clone(),
            entries: std::iter::once(first).chain(later).flat_map(|facts| facts.esp.firmware.entries.clone()).collect(),
            marks,
        }
    }

    /// The deployment that booted before the recording.
    pub fn old(&self) -> Option<&str> {
        self.old.as_deref()
    }

    /// The verdict on the state `facts`, at which the power failed no later than when the guest had seen `latest` entries of the log done.
    pub fn verdict(&self, facts: &Facts, latest: usize) -> Verdict {
        let mut faults = Vec::new();
        let mut reported = BTreeSet::new();
        let mut report = |fault: Fault, text: String| {
            if reported.insert(text.clone()) {
                faults.push((fault, text));
            }
        };
        for text in self.tables(&facts.tables, facts.var.bytes) {
            report(Fault::Neither, text);
        }
        let mut boots = Boots::Neither;
        for (whose, view) in [("the firmware", &facts.esp.firmware), ("Linux", &facts.esp.mended)] {
            match self.next(view, &facts.root) {
                Ok(next) if whose == "the firmware" => boots = next,
                Ok(_) => {}
                Err(text) => report(Fault::Neither, format!("on the ESP that {whose} sees, {text}")),
            }
        }
        for (name, damage) in
            [("ROOT", &facts.root.fsck.damage), ("VAR", &facts.var.fsck.damage), ("the ESP", &facts.esp.damage)]
        {
            if let Some(damage) = damage {
                report(Fault::Damaged, format!("{name} is damaged: {damage}"));
            }
        }
        for problem in facts.root.repository.iter().chain(&facts.var.problems) {
            report(Fault::Damaged, problem.clone());
        }
        if let Some(text) = self.broken_promise(boots, latest) {
            report(Fault::Lost, text);
        }
        for text in self.lost(facts, latest) {
            report(Fault::Lost, text);
        }
        if faults.iter().any(|(fault, _)| *fault == Fault::Neither) {
            boots = Boots::Neither;
        }
        let parts =
            [("ESP", facts.esp.is_mended), ("ROOT", facts.root.fsck.is_mended), ("VAR", facts.var.fsck.is_mended)];
        let mended = parts.into_iter().filter(|(_, is_mended)| *is_mended).map(|(part, _)| part).collect();
        let deployment = facts.esp.firmware.entries.first().and_then(deployment);
        Verdict { boots, deployment, faults, mended }
    }

    /// What is wrong if another release boots than the node had answered.
    fn broken_promise(&self, boots: Boots, latest: usize) -> Option<String> {
        let mark = self.marks.iter().rev().find(|mark| mark.boots.is_some() && mark.entries <= latest)?;
        match (mark.boots?, boots) {
            (Promise::New, Boots::Old) => Some(format!("{:?} was answered, and the old release boots", mark.name)),
            (Promise::Old, Boots::New) => Some(format!("{:?} was answered, and a new release boots", mark.name)),
            (Promise::Any, _) | (_, Boots::Neither) | (Promise::New, Boots::New) | (Promise::Old, Boots::Old) => None,
        }
    }

    fn tables(&self, tables: &Tables, var_bytes: u64) -> Vec<String> {
        let mut problems = Vec::new();
        let whole: Vec<_> = [("first", &tables.first), ("second", &tables.second)]
            .into_iter()
            .filter_map(|(which, table)| table.as_ref().map(|table| (which, table)))
            .collect();
        if whole.is_empty() {
            problems.push("neither partition table is whole".to_owned());
        }
        for (which, table) in whole {
            for label in PARTITIONS {
                let found = table.iter().find(|partition| partition.label == label);
                if found.map(|partition| partition.start) != self.partitions.get(label).copied() {
                    problems.push(format!("the {which} partition table has {label} at {:?}", found.map(|it| it.start)));
                }
                if label == "ballast-var" && found.is_some_and(|it| it.end - it.start < var_bytes) {
                    problems.push(format!(
                        "the {which} partition table has VAR smaller than its file system, {var_bytes} bytes"
                    ));
                }
            }
        }
        problems
    }

    /// Which release the boot loader would start; what is wrong with it.
    fn next(&self, view: &View, root: &root::Facts) -> Result<Boots, String> {
        if let Some(problem) = &view.problem {
            return Err(format!("nothing can be read: {problem}"));
        }
        if view.loader != self.loader {
            return Err("the boot loader itself is not as it was".to_owned());
        }
        let Some(entry) = view.entries.first() else { return Err("there is no boot entry".to_owned()) };
        // A text that was cut short may still name all that is needed.
        let is_it = |known: &Entry| {
            (&known.linux, &known.initrd, &known.options) == (&entry.linux, &entry.initrd, &entry.options)
        };
        if !self.entries.iter().any(is_it) {
            return Err(format!("{} boots next, and its text is that of no entry: {:?}", entry.file, entry.options));
        }
        whole(entry, view, root).map_err(|why| format!("{} boots next, and {why}", entry.file))?;
        match deployment(entry) {
            next if next == self.old => Ok(Boots::Old),
            Some(next) if self.new.contains(&next) => Ok(Boots::New),
            next => Err(format!("{} boots next, neither the old nor the new release: {next:?}", entry.file)),
        }
    }

    /// What was answered for and is not there.
    fn lost(&self, facts: &Facts, latest: usize) -> Vec<String> {
        let mut lost = Vec::new();
        let answered: Vec<&Mark> =
            self.marks.iter().filter(|mark| mark.holds.is_some() && mark.entries <= latest).collect();
        let paths: BTreeSet<&String> =
            answered.iter().filter_map(|mark| mark.holds.as_ref()).map(|holds| &holds.path).collect();
        for path in paths {
            let of_it = |mark: &&Mark| mark.holds.as_ref().is_some_and(|holds| &holds.path == path);
            let Some(last) = answered.iter().rev().find(|mark| of_it(mark)) else { continue };
            // What was asked for after it may be there, and need not.
            let next = self.marks.iter().filter(|mark| mark.entries > latest).find(of_it);
            let content = facts.var.state.get(path).map(|content| String::from_utf8_lossy(content).into_owned());
            let is_there = |mark: &Mark| mark.holds.as_ref().is_some_and(|holds| holds.is_in(content.as_deref()));
            if !is_there(last) && !next.is_some_and(is_there) {
                lost.push(format!("{:?} was answered, and {path} is {content:?}", last.name));
            }
        }
        lost
    }
}

/// The deployment that an entry's options name.
fn deployment(entry: &Entry) -> Option<String> {
    option(entry, "ballast.deployment=")
}

fn option(entry: &Entry, key: &str) -> Option<String> {
    entry.options.split_whitespace().rev().find_map(|word| word.strip_prefix(key)).map(str::to_owned)
}

/// Whether an entry has its kernel, its initramfs, and its deployment with all objects.
fn whole(entry: &Entry, view: &View, root: &root::Facts) -> Result<(), String> {
    let [initrd] = entry.initrd.as_slice() else { return Err(format!("it has {} initramfs", entry.initrd.len())) };
    for path in [&entry.linux, initrd] {
        match view.kernels.get(path) {
            None => return Err(format!("{path} is missing")),
            Some(Err(error)) => return Err(format!("{path} is not whole: {error}")),
            Some(Ok(())) => {}
        }
    }
    let name = deployment(entry).ok_or("it names no deployment")?;
    let found = root.deployments.get(&name).ok_or_else(|| format!("its deployment {name} is not there"))?;
    if let Some(problem) = found.problems.first() {
        return Err(format!("its deployment {name} is not whole: {problem}"));
    }
    match option(entry, "ballast.composefs=") {
        Some(digest) if digest == found.composefs => Ok(()),
        digest => Err(format!("its composefs image has the digest {}, not {digest:?}", found.composefs)),
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
