//! The order in which systemd-boot takes our entries.

use std::cmp::Ordering;

use super::compare_versions;
use crate::update::model::BootEntry;

/// Entries with no tries left last, then by file name, the highest number first (systemd-boot(7): entries without a
/// `sort-key` are ordered by their name, numbers in it as numbers).
pub fn boot_order(one: &BootEntry, other: &BootEntry) -> Ordering {
    one.is_exhausted().cmp(&other.is_exhausted()).then_with(|| compare_versions(other.stem(), one.stem()))
}
