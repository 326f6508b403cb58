//! The table `[update]`.

use super::{
    super::{
        model::{Signatures, Update},
        window::Window,
    },
    reader::{Found, Reader},
    values,
};

/// What cannot be read never makes the node do more by itself: a wrong `auto` or `reboot` is false, a wrong `window` never.
pub(super) fn update(table: &mut Reader<'_>) -> Update {
    let known = Update::default();
    Update {
        image: table.text("image", values::IMAGE, |text| values::image(text).map(Some)).or(known.image),
        auto: table.switch("auto").or(known.auto),
        windows: match table.texts("window", Window::EXPECTED, Window::parse) {
            Found::Absent => known.windows,
            Found::Refused => Some(Vec::new()),
            Found::Given(windows) => Some(windows),
        },
        reboot: match table.switch("reboot") {
            Found::Absent => known.reboot,
            Found::Refused => false,
            Found::Given(reboot) => reboot,
        },
        signatures: table.text("signatures", "\"required\" or \"none\"", signatures).or(known.signatures),
    }
}

fn signatures(text: &str) -> Result<Signatures, String> {
    match text {
        "required" => Ok(Signatures::Required),
        "none" => Ok(Signatures::Unchecked),
        other => Err(format!("is {other:?}")),
    }
}
