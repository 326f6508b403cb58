//! The table `[update]`.

use super::reader::{Found, Reader};
use crate::{
    model::{Signatures, Update},
    values,
};

/// What cannot be read never makes the node do more by itself: a wrong `auto` or `reboot` is false, a wrong `window` never.
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
    }
}
