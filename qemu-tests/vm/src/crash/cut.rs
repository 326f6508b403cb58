//! What a power cut may leave of a log: the writes up to a flush, and of those behind it any that the disk happened to have written.
//! Pure.
//!
//! ```text
//!  w w w F │ w  w  w  w │ F w …        epoch: what lies between two flushes
//!          │ ✓  ✓  ·  · │              Prefix 2       ✓ ✓ · ✓   Without 2      · ✓ · ·   Only 1
//!          │ ✓  ✓  ½  · │              Torn 2         ✓ · ✓ ·   Random
//! ```

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use anyhow::{Context, Result, bail};

use super::log::{Entry, Log, Write};
use super::random::Random;

/// Random subsets of each epoch; small epochs have fewer that differ.
const SUBSETS: u64 = 8;

/// A write of no more sectors than this is torn behind each of them.
const SMALL: u64 = 8;

/// Sectors are written whole: by drives with 512 bytes, and by those with 4096.
const UNITS: [u64; 2] = [512, 4096];

/// The writes between two flushes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// Its writes
    pub writes: Vec<Write>,
    /// Which entries of the log it lies in: behind the flush before, up to the flush that ends it
    pub entries: Range<usize>,
}

/// The epochs of `log`, in its order; empty ones are none.
pub fn epochs(log: &Log) -> Vec<Epoch> {
    let mut epochs = Vec::new();
    let mut open = Epoch { writes: Vec::new(), entries: 0..0 };
    for (index, entry) in log.entries.iter().enumerate() {
        match entry {
            Entry::Write(write) => open.writes.push(*write),
            Entry::Mark(_) => {}
            Entry::Flush => {
                open.entries.end = index;
                let next = Epoch { writes: Vec::new(), entries: index + 1..index + 1 };
                let ended = std::mem::replace(&mut open, next);
                if !ended.writes.is_empty() {
                    epochs.push(ended);
                }
            }
        }
    }
    open.entries.end = log.entries.len();
    epochs.push(open);
    epochs
}

/// Which of an epoch's writes are on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Choice {
    /// So many, in the guest's order
    Prefix(usize),
    /// All but this one
    Without(usize),
    /// Only this one
    Only(usize),
    /// Those before this one, and one part of it
    Torn {
        /// Which is torn
        write: usize,
        /// Behind how many of its bytes
        at: u64,
        /// Whether what is before that is on the disk, or what is behind it
        side: Side,
    },
    /// Any of them
    Random(u64),
}

/// Which part of a torn write is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// Its start
    Front,
    /// Its end
    Back,
}

/// One state of the disk: all before an epoch, and a choice of its writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cut {
    /// Which epoch, from 0
    pub epoch: usize,
    /// What of it
    pub choice: Choice,
}

/// A part of a write that is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which write of the epoch
    pub write: usize,
    /// From which byte of it
    pub from: u64,
    /// To which
    pub to: u64,
}

/// All cuts of one epoch that are made, each state once as far as that shows without looking at the data.
pub fn cuts_of(number: usize, epoch: &Epoch, random: &mut Random) -> Vec<Cut> {
    let count = epoch.writes.len();
    // A prefix of none is the end of the epoch before.
    let mut choices: Vec<Choice> = (usize::from(number > 0)..=count).map(Choice::Prefix).collect();
    choices.extend((0..count.saturating_sub(1)).map(Choice::Without));
    // The first alone is a prefix; with two, the second alone is all but the first.
    choices.extend((1..count).filter(|_| count > 2).map(Choice::Only));
    for (write, it) in epoch.writes.iter().enumerate() {
        choices.extend(tears(it.length, random).into_iter().map(|(at, side)| Choice::Torn { write, at, side }));
    }
    if count > 3 {
        choices.extend((0..SUBSETS).map(|_| Choice::Random(random.next())));
    }
    choices.into_iter().map(|choice| Cut { epoch: number, choice }).collect()
}

impl Cut {
    /// What of the epoch's writes is on the disk, in the guest's order.
    pub fn pieces(&self, epoch: &Epoch) -> Vec<Piece> {
        let writes = &epoch.writes;
        let whole = |write: usize| writes.get(write).map(|it| Piece { write, from: 0, to: it.length });
        let mut is_there = vec![false; writes.len()];
        let mut torn = None;
        match self.choice {
            Choice::Prefix(count) => is_there.iter_mut().take(count).for_each(|it| *it = true),
            Choice::Without(one) => {
                is_there.fill(true);
                is_there.iter_mut().skip(one).take(1).for_each(|it| *it = false);
            }
            Choice::Only(one) => is_there.iter_mut().skip(one).take(1).for_each(|it| *it = true),
            Choice::Torn { write, at, side } => {
                is_there.iter_mut().take(write).for_each(|it| *it = true);
                torn = writes.get(write).map(|it| match side {
                    Side::Front => Piece { write, from: 0, to: at.min(it.length) },
                    Side::Back => Piece { write, from: at.min(it.length), to: it.length },
                });
            }
            Choice::Random(seed) => {
                let mut random = Random::new(seed);
                // Often few are missing, often few are there.
                let odds = 1 + random.below(15);
                is_there.iter_mut().for_each(|it| *it = random.below(16) < odds);
            }
        }
        // When a write behind it was sent, one with FUA was on the disk.
        let last = torn.map(|piece| piece.write).or_else(|| is_there.iter().rposition(|it| *it)).unwrap_or_default();
        for (it, _) in is_there.iter_mut().zip(writes).take(last).filter(|(_, write)| write.is_durable) {
            *it = true;
        }
        let there = is_there.into_iter().enumerate().filter(|(_, is_there)| *is_there);
        there.filter_map(|(write, _)| whole(write)).chain(torn).collect()
    }

    /// The last moment at which the power may have failed, as the number of entries of the log that the guest had seen done.
    pub fn latest(&self, epoch: &Epoch) -> usize {
        let pieces = self.pieces(epoch);
        let is_whole =
            |write: usize| pieces.iter().any(|it| it.write == write && it.to - it.from == epoch.writes[write].length);
        // The first with FUA that is not there was not done.
        let undone = epoch.writes.iter().enumerate().find(|(write, it)| it.is_durable && !is_whole(*write));
        undone.map_or(epoch.entries.end, |(write, _)| epoch.entries.start + write)
    }
}

/// Where a write of so many bytes is torn: a small one behind each sector, a large one somewhere.
fn tears(length: u64, random: &mut Random) -> Vec<(u64, Side)> {
    let mut tears = Vec::new();
    for unit in UNITS {
        let units = length.div_ceil(unit);
        if units <= 1 {
            continue;
        }
        if units <= SMALL {
            tears.extend((1..units).map(|at| (at * unit, Side::Front)));
        } else {
            tears.push(((1 + random.below(units - 1)) * unit, Side::Front));
        }
        tears.push(((1 + random.below(units - 1)) * unit, Side::Back));
    }
    tears
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let epoch = self.epoch;
        match self.choice {
            Choice::Prefix(count) => write!(f, "{epoch}:prefix:{count}"),
            Choice::Without(one) => write!(f, "{epoch}:without:{one}"),
            Choice::Only(one) => write!(f, "{epoch}:only:{one}"),
            Choice::Torn { write, at, side: Side::Front } => write!(f, "{epoch}:torn:{write}:{at}:front"),
            Choice::Torn { write, at, side: Side::Back } => write!(f, "{epoch}:torn:{write}:{at}:back"),
            Choice::Random(seed) => write!(f, "{epoch}:random:{seed}"),
        }
    }
}

impl FromStr for Cut {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let what = || {
            format!(
                "{text:?} is no state; one is EPOCH:prefix:N, EPOCH:without:N, EPOCH:only:N, EPOCH:torn:N:BYTES:front|back or EPOCH:random:SEED"
            )
        };
        let words: Vec<&str> = text.split(':').collect();
        let index = |word: &str| word.parse::<usize>().with_context(what);
        let number = |word: &str| word.parse::<u64>().with_context(what);
        let (epoch, choice) = match words[..] {
            [epoch, "prefix", count] => (epoch, Choice::Prefix(index(count)?)),
            [epoch, "without", one] => (epoch, Choice::Without(index(one)?)),
            [epoch, "only", one] => (epoch, Choice::Only(index(one)?)),
            [epoch, "torn", write, at, side @ ("front" | "back")] => {
                let side = if side == "front" { Side::Front } else { Side::Back };
                (epoch, Choice::Torn { write: index(write)?, at: number(at)?, side })
            }
            [epoch, "random", seed] => (epoch, Choice::Random(number(seed)?)),
            _ => bail!(what()),
        };
        Ok(Self { epoch: index(epoch)?, choice })
    }
}

#[cfg(test)]
#[path = "cut_tests.rs"]
mod tests;
