//! What is kept, and what of the rest can be removed.

use std::collections::BTreeSet;

use super::{boot_entry::arguments, bootable, last_good};
use crate::update::model::{BootEntry, BootEntryName, DeploymentId, Digest, Observed};

/// What may be removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surplus {
    /// Files of boot entries, to be removed first: nothing may boot what is about to go.
    pub entries: Vec<BootEntryName>,
    /// Files in the ESP's folder of kernels that no entry which stays names.
    pub kernels: Vec<String>,
    /// The releases that stay. The rest go.
    pub keep: BTreeSet<Digest>,
}

/// What is surplus: releases that are neither booted, next, last good nor pinned, nor fetched for later. `kernels` are
/// the files in the ESP's folder of kernels.
pub fn surplus(observed: &Observed, kernels: &[String]) -> Surplus {
    let entries = bootable(observed);
    let next = entries.first().map(|entry| &entry.deployment);
    let mut kept: BTreeSet<&DeploymentId> = observed.booted.iter().chain(next).collect();
    kept.extend(last_good(observed).map(|entry| &entry.deployment));
    let digest = |id: &DeploymentId| observed.origin(id).map(|origin| &origin.digest);
    let is_pinned = |id: &&DeploymentId| digest(id).is_some_and(|digest| observed.memory.pinned.contains(digest));
    kept.extend(observed.on_disk.keys().filter(is_pinned));

    // An entry whose tries are used up boots nothing; that of what runs may still be blessed.
    let is_used_up = |entry: &BootEntry| entry.is_exhausted() && observed.booted.as_ref() != Some(&entry.deployment);
    let is_kept =
        |entry: &BootEntry| kept.contains(&entry.deployment) && !is_superseded(&entries, entry) && !is_used_up(entry);
    let (staying, going): (Vec<&BootEntry>, Vec<&BootEntry>) =
        observed.entries.iter().partition(|entry| is_kept(entry));
    let named: BTreeSet<&str> = staying
        .iter()
        .flat_map(|entry| [&entry.linux, &entry.initrd])
        .filter_map(|path| path.rsplit('/').next())
        .collect();
    let mut keep: BTreeSet<Digest> = kept.into_iter().filter_map(digest).cloned().collect();
    keep.extend(observed.memory.fetched.clone());
    keep.extend(observed.memory.pinned.iter().cloned());
    Surplus {
        entries: going.into_iter().map(|entry| entry.name.clone()).collect(),
        kernels: kernels.iter().filter(|file| !named.contains(file.as_str())).cloned().collect(),
        keep,
    }
}

/// Whether other entries of the same deployment do all that this one could: the first to boot, and the first that has proved itself, which
/// boots if that one fails. One with arguments that did not boot says so as long as it is there.
fn is_superseded(in_order: &[&BootEntry], entry: &BootEntry) -> bool {
    let same = || in_order.iter().filter(|other| other.deployment == entry.deployment);
    let is = |other: Option<&&BootEntry>| other.is_some_and(|other| other.name == entry.name);
    let is_first = is(same().next());
    let is_last_resort = is(same().find(|other| other.is_blessed()));
    let is_warning = is(same().find(|other| other.is_exhausted()))
        && same().next().is_some_and(|first| arguments(&first.options) != arguments(&entry.options));
    !(is_first || is_last_resort || is_warning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::plan::tests::{digest as digest_of, node};

    fn shown(observed: &Observed) -> (String, String, String) {
        let kernels: Vec<String> = "abcdex".chars().map(|letter| format!("{letter}-vmlinuz")).collect();
        let surplus = surplus(observed, &kernels);
        let numbers = surplus.entries.iter().filter_map(|name| Some(name.number()?.to_string()));
        let numbers: Vec<String> = numbers.collect();
        let keep: Vec<&str> = surplus.keep.iter().filter_map(|digest| digest.as_str().get(7..8)).collect();
        let kernels: Vec<&str> = surplus.kernels.iter().filter_map(|file| file.get(..1)).collect();
        (keep.concat(), numbers.join(" "), kernels.concat())
    }

    #[test]
    fn booted_next_last_good_and_pinned_stay() {
        let expect =
            |keep: &str, entries: &str, kernels: &str| (keep.to_owned(), entries.to_owned(), kernels.to_owned());
        for (entries, booted, expected) in [
            ("a1", "a", expect("a", "", "bcdex")),
            ("a1 b2", "b", expect("ab", "", "cdex")),
            ("a1 b2+3", "a", expect("ab", "", "cdex")),
            ("a1 b2 c3+3", "b", expect("bc", "1", "adex")),
            ("a1 b2+3 c3+3", "a", expect("ac", "2", "bdex")),
            ("a1 b2+0", "a", expect("a", "2", "bcdex")),
            ("a1 b2 a3", "b", expect("ab", "1", "cdex")),
            ("a1 b2+2 c3+3", "b", expect("abc", "", "dex")),
        ] {
            assert_eq!(shown(&node(entries, booted)), expected, "{entries} booted {booted}");
        }
        let mut observed = node("a1 b2 c3 d4", "d");
        observed.memory.pinned = vec![digest_of("a")];
        observed.memory.fetched = Some(digest_of("f"));
        assert_eq!(shown(&observed), expect("acdf", "2", "bex"));

        let mut observed = node("a1 b2+0", "a");
        observed.memory.pinned = vec![digest_of("b")];
        assert_eq!(shown(&observed), expect("ab", "2", "bcdex"), "pinned, its tries used up");
    }

    #[test]
    fn what_a_blessing_that_was_cut_short_left_goes() {
        let mut observed = node("a1+2 a2", "a");
        observed.entries[1].name = observed.entries[0].name.without_counter();
        assert_eq!(surplus(&observed, &[]).entries, ["ballast-1-1-a+2-1.conf".parse().unwrap()]);
        assert!(crate::update::plan::booted_entry(&observed).unwrap().is_blessed());
    }

    #[test]
    fn an_entry_without_its_deployment_goes() {
        let mut observed = node("a1 b2 c9", "b");
        observed.on_disk.retain(|id, _| !id.commit().starts_with('c'));
        assert_eq!(shown(&observed).1, "3");
    }

    #[test]
    fn what_boots_if_other_arguments_fail_stays() {
        for (entries, arguments, expected) in [
            // On trial; blessed; and again others.
            ("a1 a2+3", ["", "x", ""], ""),
            ("a1 a2", ["", "x", ""], "1"),
            ("a1 a2 a3+3", ["", "x", "y"], "1"),
            // They did not boot.
            ("a1 a2+0", ["", "x", ""], ""),
            ("a1 a2+0 a3", ["", "x", "x"], "1 2"),
            ("a1 a2+0 a3+0", ["", "x", "y"], "2"),
        ] {
            let mut observed = node(entries, "a");
            for (one, arguments) in observed.entries.iter_mut().zip(arguments) {
                one.options = crate::update::plan::boot_entry::with_arguments(&one.options, arguments);
            }
            assert_eq!(shown(&observed).1, expected, "{entries}");
        }
    }
}
