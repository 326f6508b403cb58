//! The table `[update]`.

use std::ops::RangeInclusive;

use super::reader::{Found, Reader};
use crate::{
    model::{Identity, Signatures, Update},
    values,
};

/// As many signers as a release can have that the image proxy looks at.
const THRESHOLDS: RangeInclusive<u32> = 1..=16;

/// Who signs anew more often than daily, or never within ten years, means something else.
const DAYS: RangeInclusive<u32> = 1..=3650;

/// What cannot be read never makes the node do more by itself: a wrong `auto` or `reboot` is false, a wrong `window` never; and
/// what signatures are asked for is then as strict as can be.
pub(super) fn update(table: &mut Reader<'_>) -> Update {
    table.be_cautious();
    let known = Update::default();
    Update {
        image: table.text("image", values::IMAGE, |text| values::image(text).map(Some)).or(known.image),
        auto: table.switch("auto").or(false),
        windows: match table.list("window") {
            Found::Absent => known.windows,
            Found::Refused => Some(Vec::new()),
            Found::Given(windows) => Some(windows),
        },
        reboot: match table.switch("reboot") {
            Found::Absent => known.reboot,
            Found::Refused => false,
            Found::Given(reboot) => reboot,
        },
        signatures: table
            .choice("signatures", &[("required", Signatures::Required), ("none", Signatures::Unchecked)])
            .or(known.signatures),
        keys: table.list("keys").or(known.keys),
        keys_threshold: match table.number("keys_threshold", THRESHOLDS) {
            Found::Absent => known.keys_threshold,
            Found::Refused => *THRESHOLDS.end(),
            Found::Given(threshold) => threshold,
        },
        identity: match table.choice("identity", &[("repository", Identity::Repository), ("tag", Identity::Tag)]) {
            Found::Absent => known.identity,
            Found::Refused => Identity::Tag,
            Found::Given(identity) => identity,
        },
        signature_max_days: match table.number("signature_max_days", DAYS) {
            Found::Absent => known.signature_max_days,
            Found::Refused => Some(*DAYS.start()),
            Found::Given(days) => Some(days),
        },
    }
}
