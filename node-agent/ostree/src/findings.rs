//! What a check of the objects found.

use std::collections::BTreeMap;

use ballast_types::worker::Checked;
use ostree_ext::ostree::ObjectName;

/// What is wrong with an object, by its name: CHECKSUM.KIND.
#[derive(Default)]
pub(crate) struct Findings {
    /// How many objects there are.
    pub(crate) objects: usize,
    /// Damaged or missing.
    pub(crate) bad: BTreeMap<String, Bad>,
    /// Right, but nobody would notice if that changed.
    pub(crate) unsealed: Vec<String>,
}

pub(crate) struct Bad {
    pub(crate) name: ObjectName,
    /// It is there, and wrong; else it is missing, or what it names is.
    pub(crate) is_damaged: bool,
    why: String,
}

impl Findings {
    /// One for each.
    fn sentences(&self) -> Vec<String> {
        let bad = self.bad.iter().map(|(name, bad)| format!("{name}: {}", bad.why));
        bad.chain(self.unsealed.iter().map(|name| format!("{name}: fs-verity is off"))).collect()
    }

    /// What is printed of them, with how many were mended.
    pub(crate) fn reported(&self, repaired: usize) -> Checked {
        Checked { objects: self.objects as u64, damaged: self.sentences(), repaired: repaired as u64 }
    }

    /// How many are wrong.
    pub(crate) fn len(&self) -> usize {
        self.bad.len() + self.unsealed.len()
    }

    /// Notes the first thing that is wrong with it.
    pub(crate) fn add(&mut self, name: ObjectName, is_damaged: bool, why: String) {
        self.bad.entry(name.to_string()).or_insert(Bad { name, is_damaged, why });
    }
}
