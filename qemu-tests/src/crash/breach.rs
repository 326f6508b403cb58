//! Recordings as a careless node would have left them: the same writes with a flush left out, or in another order. The check has to find
//! what may come of it.

use super::cut::Epoch;
use super::disk::Region;
use super::log::{Entry, Log, Write};

/// What a node could do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// The deployment is not synced before the boot entry names it
    NoSync,
    /// The boot entry is written under its own name, not renamed to it once it is whole
    InPlace,
    /// The kernel is written when the boot entry names it already
    KernelLast,
}

/// Kernels and initramfs are written in larger pieces than folders, tables and entries of a FAT.
const CONTENT_BYTES: u64 = 16 << 10;

/// `log` as the `breach` would have left it. `begins` is the entry at which the upgrade begins, `commit` the epoch with its commit point;
/// `regions` tells which parts of the disk a write changes.
pub fn breached(
    log: &Log,
    breach: Breach,
    begins: usize,
    commit: &Epoch,
    regions: impl Fn(&Write) -> Vec<Region>,
) -> Log {
    let is_in = |entry: &Entry, region| matches!(entry, Entry::Write(write) if regions(write).contains(&region));
    let is_content = |entry: &Entry| {
        matches!(entry, Entry::Write(write) if write.length >= CONTENT_BYTES) && is_in(entry, Region::Esp)
    };
    let (before, rest) = log.entries.split_at(begins.min(commit.entries.start));
    let (upgrade, rest) = rest.split_at(commit.entries.start - before.len());
    let (committed, after) = rest.split_at(commit.entries.len());
    let entries = match breach {
        // Whatever is written meanwhile reaches the disk in any order.
        Breach::NoSync => {
            let unsynced = upgrade.iter().filter(|entry| **entry != Entry::Flush);
            before.iter().chain(unsynced).chain(committed).chain(after).cloned().collect()
        }
        // The last that was written to the ESP before the name appeared is the entry's text.
        Breach::InPlace => {
            let text = upgrade.iter().rposition(|entry| is_in(entry, Region::Esp)).unwrap_or_default();
            let start = upgrade[..text].iter().rposition(|entry| *entry == Entry::Flush).map_or(0, |flush| flush + 1);
            let (earlier, drafted) = upgrade.split_at(start);
            let drafted = drafted.iter().filter(|entry| **entry != Entry::Flush);
            before.iter().chain(earlier).chain(committed).chain(drafted).chain(after).cloned().collect()
        }
        Breach::KernelLast => {
            let kernel = upgrade.iter().filter(|entry| is_content(entry));
            let others = upgrade.iter().filter(|entry| !is_content(entry));
            let flush = [Entry::Flush];
            before.iter().chain(others).chain(committed).chain(&flush).chain(kernel).chain(after).cloned().collect()
        }
    };
    Log { entries, ..log.clone() }
}

#[cfg(test)]
mod tests {
    use super::super::cut::epochs;
    use super::super::log::Kind;
    use super::*;

    /// `r` a write to ROOT, `e` to the ESP, `k` a kernel there, `F` a flush.
    fn log(text: &str) -> Log {
        let write = |offset, length| Entry::Write(Write { offset, length, kind: Kind::Discard, is_durable: false });
        let entry = |sign| match sign {
            'r' => write(1, 512),
            'e' => write(0, 512),
            'k' => write(0, 1 << 20),
            _ => Entry::Flush,
        };
        Log { path: "/log".into(), sector_bytes: 512, entries: text.chars().map(entry).collect() }
    }

    fn shape(log: &Log) -> String {
        let sign = |entry: &Entry| match entry {
            Entry::Write(Write { offset: 1, .. }) => 'r',
            Entry::Write(Write { length: 512, .. }) => 'e',
            Entry::Write(_) => 'k',
            Entry::Flush | Entry::Mark(_) => 'F',
        };
        log.entries.iter().map(sign).collect()
    }

    #[test]
    fn each_breach_takes_away_one_promise() {
        let whole = log("rFrFkkFekFeeFeFr");
        let commit = epochs(&whole)[5].clone();
        assert_eq!(commit.entries, 13..14);
        let regions = |write: &Write| vec![if write.offset == 1 { Region::Root } else { Region::Esp }];
        for (breach, want) in [
            (Breach::NoSync, "rFrkkekeeeFr"),
            (Breach::InPlace, "rFrFkkFekFeeeFr"),
            (Breach::KernelLast, "rFrFFeFeeFeFkkkFr"),
        ] {
            assert_eq!(shape(&breached(&whole, breach, 2, &commit, regions)), want, "{breach:?}");
        }
    }
}
