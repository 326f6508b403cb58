//! In which order files are written to the EFI system partition: a list of steps, so that a test can cut the power between and within
//! them. What vfat may leave at each point is in docs/design/esp-writes.md.

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Makes a new file and has it on the disk with its content. A file that is there already is an error: it may share its clusters with
    /// another one after a power cut, so nothing is ever written over.
    Create {
        /// Its name.
        name: String,
    },
    /// Gives a file that [`Step::Create`] made a name that nothing has. Its content is on the disk by then.
    Name {
        /// The name that it was made under.
        from: String,
        /// The name that the boot loader looks for.
        to: String,
    },
    /// Takes a file away.
    Remove {
        /// Its name.
        name: String,
    },
    /// All of it is on the disk, past the disk's own cache.
    Sync,
}

/// Puts a file under `name`, made under the name `draft` first. `is_taken`: there is a file of that name, which nobody needs.
pub(super) fn put(name: &str, draft: &str, is_taken: bool) -> Vec<Step> {
    let mut steps = Vec::new();
    if is_taken {
        steps.extend([Step::Remove { name: name.to_owned() }, Step::Sync]);
    }
    steps.extend([
        Step::Create { name: draft.to_owned() },
        Step::Sync,
        Step::Name { from: draft.to_owned(), to: name.to_owned() },
        Step::Sync,
    ]);
    steps
}

/// Puts the content of `old` under `new`, and takes `old` away once that is on the disk. `old` is never renamed: it may be the only
/// entry that boots. `draft` is None if `new` has that content already, from a time that was cut short.
pub(super) fn replace(old: &str, new: &str, draft: Option<&str>, is_taken: bool) -> Vec<Step> {
    let mut steps = draft.map(|draft| put(new, draft, is_taken)).unwrap_or_default();
    steps.extend([Step::Remove { name: old.to_owned() }, Step::Sync]);
    steps
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// What a name leads to.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Content {
        /// A slot without clusters.
        Empty,
        /// Clusters whose content was not written: anything may be in them.
        Garbage,
        Whole,
    }

    type Folder = BTreeMap<String, Content>;

    /// One write to the disk: a name and what it leads to then, None if it is gone.
    type Write = (String, Option<Content>);

    /// What Linux' vfat writes for a step. Until the next sync each of them may be on the disk without the others.
    fn writes(step: &Step) -> Vec<Write> {
        match step {
            Step::Create { name } => vec![
                (name.clone(), Some(Content::Empty)),
                (name.clone(), Some(Content::Garbage)),
                (name.clone(), Some(Content::Whole)),
            ],
            // The new slot is written with size 0, the inode into it later; the old slot goes whenever it goes.
            Step::Name { from, to } => {
                vec![(to.clone(), Some(Content::Empty)), (to.clone(), Some(Content::Whole)), (from.clone(), None)]
            }
            Step::Remove { name } => vec![(name.clone(), None)],
            Step::Sync => vec![],
        }
    }

    fn apply(folder: &Folder, writes: impl Iterator<Item = Write>) -> Folder {
        let mut folder = folder.clone();
        for (name, content) in writes {
            match content {
                Some(content) => folder.insert(name, content),
                None => folder.remove(&name),
            };
        }
        folder
    }

    /// All that a power cut can leave of `steps`, begun on `folder`.
    fn states(mut folder: Folder, steps: &[Step]) -> Vec<Folder> {
        let (mut states, mut pending) = (vec![folder.clone()], Vec::<Write>::new());
        for step in steps {
            pending.extend(writes(step));
            for subset in 0..1_u32 << pending.len() {
                let written = pending.iter().enumerate().filter(|(bit, _)| subset >> bit & 1 == 1);
                states.push(apply(&folder, written.map(|(_, write)| write.clone())));
            }
            // A file that is created is synced by itself.
            if matches!(step, Step::Sync | Step::Create { .. }) {
                folder = apply(&folder, pending.drain(..));
            }
        }
        states.push(folder);
        states
    }

    /// The boot loader takes the files that end in `.conf` and passes over those without a kernel in them: empty ones.
    fn is_bootable(folder: &Folder) -> bool {
        let entries = || folder.iter().filter(|(name, _)| name.ends_with(".conf"));
        entries().any(|(_, content)| *content == Content::Whole) && entries().all(|(_, it)| *it != Content::Garbage)
    }

    fn folder(files: &[(&str, Content)]) -> Folder {
        files.iter().map(|(name, content)| ((*name).to_owned(), *content)).collect()
    }

    #[test]
    fn a_blessing_leaves_something_to_boot_whenever_the_power_fails() {
        let counted = ("a+2-1.conf", Content::Whole);
        for (files, draft, is_taken) in [
            (vec![counted], Some("x.part"), false),
            // Earlier blessings that were cut short.
            (vec![counted, ("a.conf", Content::Empty)], Some("x.part"), true),
            (vec![counted, ("a.conf", Content::Whole), ("y.part", Content::Whole)], None, true),
        ] {
            let steps = replace("a+2-1.conf", "a.conf", draft, is_taken);
            for state in states(folder(&files), &steps) {
                assert!(is_bootable(&state), "{files:?}: {state:?}");
            }
            let end = states(folder(&files), &steps).pop().unwrap();
            assert_eq!((end.get("a.conf"), end.get("a+2-1.conf")), (Some(&Content::Whole), None));
        }
    }

    #[test]
    fn a_new_entry_leaves_the_old_ones_alone_whenever_the_power_fails() {
        for (files, is_taken) in [
            (vec![("a.conf", Content::Whole)], false),
            (vec![("a.conf", Content::Whole), ("b+3.conf", Content::Empty)], true),
        ] {
            let steps = put("b+3.conf", "x.part", is_taken);
            for state in states(folder(&files), &steps) {
                assert!(is_bootable(&state) && state.get("a.conf") == Some(&Content::Whole), "{files:?}: {state:?}");
            }
        }
    }

    #[test]
    fn to_rename_the_only_entry_is_found_out() {
        let renamed = [Step::Name { from: "a+2-1.conf".to_owned(), to: "a.conf".to_owned() }, Step::Sync];
        let states = states(folder(&[("a+2-1.conf", Content::Whole)]), &renamed);
        assert!(states.iter().any(|state| *state == folder(&[("a.conf", Content::Empty)])), "{states:?}");
        assert!(!states.iter().all(is_bootable));
    }

    #[test]
    fn to_write_under_the_name_itself_is_found_out() {
        let written = [Step::Create { name: "a.conf".to_owned() }, Step::Remove { name: "a+2-1.conf".to_owned() }];
        assert!(!states(folder(&[("a+2-1.conf", Content::Whole)]), &written).iter().all(is_bootable));
    }
}
