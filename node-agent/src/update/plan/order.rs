//! The order in which systemd-boot takes our entries.

use std::cmp::Ordering;

use super::compare_versions;
use crate::update::model::BootEntry;

/// Entries with no tries left last, then by file name, the highest number first (systemd-boot(7): entries without a
/// `sort-key` are ordered by their name, numbers in it as numbers). Of two that differ in the counter alone, which a blessing leaves that was
/// cut short, the one without comes first: they boot the same, and the other is not needed.
pub fn boot_order(one: &BootEntry, other: &BootEntry) -> Ordering {
    let by_name = one
        .is_exhausted()
        .cmp(&other.is_exhausted())
        .then_with(|| compare_versions(other.name.stem(), one.name.stem()));
    by_name.then_with(|| other.is_blessed().cmp(&one.is_blessed()))
}
