//! The version of the schema that a source is written for.

use crate::{
    problem::Problem,
    tree::{Table, Value},
};

/// The version of the schema that this release knows.
pub const VERSION: i64 = 1;

/// Takes `version` out of a source; names one that this release does not know. Its other keys apply all the same: what is not
/// known is named like any other unknown key.
pub(super) fn check(table: &mut Table) -> Option<Problem> {
    let item = table.remove("version")?.item;
    let what = match item.value.as_integer() {
        Some(VERSION) => return None,
        Some(newer) if newer > VERSION => {
            format!("is {newer}, which a newer release wrote; the keys that this one knows apply")
        }
        Some(other) => format!("is {other}"),
        None if item.value == Value::Broken => return None,
        None => item.value.kind_clause(),
    };
    Some(item.origin.problem("version", &what, &VERSION.to_string()))
}
