//! The table `[debug]`.

use super::reader::Reader;
use crate::{
    model::{Debug, DebugShell},
    values,
};

const IMAGE: &str = "where the toolbox is, as \"registry.example/toolbox:stable\"";

pub(super) fn debug(table: &mut Reader<'_>) -> Debug {
    Debug {
        shell: table.choice("shell", &DebugShell::ALL.map(|shell| (shell.name(), shell))).or(DebugShell::default()),
        image: table.text("image", IMAGE, values::image).given(),
    }
}
