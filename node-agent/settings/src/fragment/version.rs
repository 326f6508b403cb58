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
    let what = match item.value {
        Value::Integer(VERSION) | Value::Broken => return None,
        Value::Integer(newer) if newer > VERSION => {
            format!("is {newer}, which a newer release wrote; the keys that this one knows apply")
        }
        Value::Integer(other) => format!("is {other}"),
        other => format!("is {}", other.kind()),
    };
    Some(item.origin.problem("version", &what, &VERSION.to_string()))
}
