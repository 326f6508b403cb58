//! Recordings as a careless node would have left them: the same writes with a flush left out, or in another order. The check has to find
//! what may come of it.

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, ensure};

use super::cut::Epoch;
use super::disk::Region;
use super::log::{Entry, Kind, Log, Write};
use super::run::{Of, Outcome, Plan, Recording, Run};
use crate::tools::Tools;

/// What a node could do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// The deployment is not synced before the boot entry names it: Linux writes it when it comes to it
    NoSync,
    /// The boot entry is written under its own name, not renamed to it once its text is on the disk
    InPlace,
    /// The kernel is written when the boot entry names it already
    KernelLast,
}

/// Kernels and initramfs are written in larger pieces than folders, tables and entries of a FAT.
const CONTENT_BYTES: u64 = 16 << 10;
/// What no other file on the ESP has in it.
const ENTRY: &[u8] = b"ballast.deployment=";

/// A recording of an upgrade, and where in it things happen.
#[derive(Debug)]
pub struct Careful<'a> {
    /// Its log
    pub log: &'a Log,
    /// The entry at which the upgrade begins
    pub begins: usize,
    /// The epoch with its commit point
    pub commit: &'a Epoch,
}

impl Careful<'_> {
    /// The log as the `breach` would have left it. `regions` tells which parts of the disk a write changes.
    ///
    /// # Errors
    /// When the log cannot be read, or there is nothing in it that could be done wrong.
    pub fn breached(&self, breach: Breach, regions: impl Fn(&Write) -> Vec<Region>) -> Result<Log> {
        let (before, rest) = self.log.entries.split_at(self.begins.min(self.commit.entries.start));
        let (upgrade, rest) = rest.split_at(self.commit.entries.start - before.len());
        let (committed, after) = rest.split_at(self.commit.entries.len());
        let mut is_late = vec![false; upgrade.len()];
        for (entry, is_late) in upgrade.iter().zip(&mut is_late) {
            let Entry::Write(write) = entry else { continue };
            let is_on = |region| regions(write).contains(&region);
            *is_late = match breach {
                Breach::NoSync => is_on(Region::Root),
                Breach::InPlace => is_on(Region::Esp) && self.is_entry(write)?,
                Breach::KernelLast => is_on(Region::Esp) && write.length >= CONTENT_BYTES,
            };
        }
        ensure!(is_late.contains(&true), "{breach:?}: nothing of that is written before the commit point");
        let pairs = || upgrade.iter().zip(&is_late);
        let early = pairs().filter(|(_, is_late)| !**is_late).map(|(entry, _)| entry);
        let late = pairs().filter(|(entry, is_late)| **is_late || **entry == Entry::Flush).map(|(entry, _)| entry);
        // The text of an entry and its name may reach the disk in any order. What else is late is in good order, only too late.
        let between = if breach == Breach::InPlace { &[] } else { &[Entry::Flush][..] };
        let entries =
            before.iter().chain(early).chain(committed).chain(between).chain(late).chain(after).cloned().collect();
        Ok(Log { entries, ..self.log.clone() })
    }

    fn is_entry(&self, write: &Write) -> Result<bool> {
        let Kind::Data { at } = write.kind else { return Ok(false) };
        if write.length >= CONTENT_BYTES {
            return Ok(false);
        }
        let doing = || format!("reading {}", self.log.path.display());
        let mut data = vec![0; usize::try_from(write.length)?];
        File::open(&self.log.path).and_then(|file| file.read_exact_at(&mut data, at)).with_context(doing)?;
        Ok(data.windows(ENTRY.len()).any(|window| window == ENTRY))
    }
}

/// The mark at which the upgrade of a recording begins.
pub const UPGRADE: &str = "upgrade begins";

/// Of what is written too late to ROOT so many states are made: it is found in many.
const LATE: usize = 60;

/// What the check finds in `recording`, an upgrade, once each breach was committed in it.
///
/// # Errors
/// When the upgrade is not marked, or a state cannot be looked at.
pub fn outcomes(tools: &Tools, recording: &Recording) -> Result<Vec<(Breach, Outcome)>> {
    let log = Log::read(&recording.log)?;
    let mut run = Run::of(tools, recording)?;
    let commit = run.commit()?;
    let begins = run.marked(UPGRADE).with_context(|| format!("there is no mark {UPGRADE:?}"))?;
    let careful = Careful { log: &log, begins, commit: &commit };
    let mut outcomes = Vec::new();
    for breach in [Breach::NoSync, Breach::InPlace, Breach::KernelLast] {
        let careless = careful.breached(breach, |write| run.regions_of(write))?;
        let mut careless = Run::with(tools, recording, &careless).with_context(|| format!("{breach:?}"))?;
        // Not by chance: all states around the commit point, or the same of what is written too late.
        let is_on_root = breach == Breach::NoSync;
        let of = if is_on_root { Of::All } else { Of::Boot };
        let plan = Plan { seed: 1, states: is_on_root.then_some(LATE), of };
        outcomes.push((breach, careless.all(plan, 0)?));
    }
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::super::cut::epochs;
    use super::super::log::Writer;
    use super::*;

    const ROOT: u64 = 1 << 20;

    /// `r` a write to ROOT, `e` to the ESP, `t` the text of an entry there, `k` a kernel, `F` a flush.
    fn log(text: &str, folder: &std::path::Path) -> Log {
        let path = folder.join("log");
        let mut log = Writer::create(&path).unwrap();
        let entry = b"linux /k options ballast.deployment=x".iter().copied().chain(std::iter::repeat(0)).take(512);
        for sign in text.chars() {
            match sign {
                'r' => log.write(ROOT, &[1; 512], false),
                'e' => log.write(0, &[1; 512], false),
                't' => log.write(0, &entry.clone().collect::<Vec<u8>>(), false),
                'k' => log.write(0, &[1; 1 << 16], false),
                _ => log.flush(),
            }
            .unwrap();
        }
        Log::read(&path).unwrap()
    }

    fn shape(careful: &Careful<'_>, log: &Log) -> String {
        let sign = |entry: &Entry| match entry {
            Entry::Write(write) if write.offset == ROOT => 'r',
            Entry::Write(write) if write.length > 512 => 'k',
            Entry::Write(write) if careful.is_entry(write).unwrap() => 't',
            Entry::Write(_) => 'e',
            Entry::Flush | Entry::Mark(_) => 'F',
        };
        log.entries.iter().map(sign).collect()
    }

    #[test]
    fn each_breach_takes_away_one_promise() {
        let folder = tempfile::tempdir().unwrap();
        let whole = log("rFrFkkFekFetFeFr", folder.path());
        let commit = epochs(&whole)[5].clone();
        assert_eq!(commit.entries, 13..14);
        let careful = Careful { log: &whole, begins: 2, commit: &commit };
        let regions = |write: &Write| vec![if write.offset == ROOT { Region::Root } else { Region::Esp }];
        for (breach, want) in [
            (Breach::NoSync, "rFFkkFekFetFeFrFFFFFr"),
            (Breach::InPlace, "rFrFkkFekFeFeFFFtFFr"),
            (Breach::KernelLast, "rFrFFeFetFeFFkkFkFFFr"),
        ] {
            assert_eq!(shape(&careful, &careful.breached(breach, regions).unwrap()), want, "{breach:?}");
        }
        let nothing = Careful { begins: 13, ..careful };
        assert!(nothing.breached(Breach::KernelLast, regions).is_err());
    }
}
