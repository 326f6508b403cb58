//! `[debug]`.

use toml_edit::Table;

use super::put;
use crate::model::Debug;

pub(super) fn debug(debug: &Debug) -> Table {
    let mut table = Table::new();
    // Where nothing is said nothing is written.
    if *debug == Debug::default() {
        return table;
    }
    put(&mut table, "shell", Some(debug.shell.name()));
    put(&mut table, "image", debug.image.as_ref());
    table
}
