//! Interfaces as platforms describe them, as if they had been written as `[network]`: cloud-init's network-config of both versions and
//! OpenStack's network_data.json. Whether a value is right is seen where settings are read; here it is only put in its place.

mod link;
mod openstack;
mod plan;
#[cfg(test)]
mod tests;
mod v1;
mod v2;
mod value;

use self::plan::Plan;
use super::text::Text;
use crate::{
    problem::Problem,
    tree::{Entry, Table},
};

/// What a description of interfaces says.
#[derive(Debug, Default)]
pub(super) struct Interfaces {
    /// As if it had been written as settings; what stands where goes by the names of the description.
    pub(super) table: Table,
    pub(super) problems: Vec<Problem>,
    /// What is in it and not taken.
    pub(super) notes: Vec<Problem>,
}

impl Interfaces {
    /// Takes a key in besides, and what is to be reported of it.
    pub(super) fn add(&mut self, found: Option<(Option<Entry>, Option<Problem>)>) {
        let (entry, note) = found.unwrap_or_default();
        self.table.entries.extend(entry);
        self.notes.extend(note);
    }
}

/// What cloud-init's network-config says (docs.cloud-init.io, "Networking config Version 1" and "Version 2").
pub(super) fn network_config(text: &Text<'_>, mut document: Table) -> Interfaces {
    let mut plan = Plan::default();
    if document.entries.is_empty() {
        return plan.finish();
    }
    // Netplan's files have all below one key, and so have some platforms.
    if let Some(entry) = document.remove("network") {
        match entry.item.value.into_table() {
            Ok(table) => document = table,
            Err(other) => {
                plan.problems.push(entry.item.origin.problem("network", &other.kind_clause(), "a mapping"));
                return plan.finish();
            }
        }
    }
    let version = document.remove("version").map(|entry| entry.item);
    match version.as_ref().and_then(|item| value::scalar(&item.value)).as_deref() {
        Some("1") => v1::read(document, &mut plan),
        Some("2") => v2::read(document, &mut plan),
        _ => {
            let origin = version.map_or_else(|| text.origin(0), |item| item.origin);
            let what = "is none that this node reads; no interface of it applies";
            plan.problems.push(origin.problem("version", what, "1 or 2"));
        }
    }
    plan.finish()
}

/// What OpenStack's network_data.json says (docs.openstack.org/nova, "Network metadata").
pub(super) fn network_data(_: &Text<'_>, document: Table) -> Interfaces {
    let mut plan = Plan::default();
    openstack::read(document, &mut plan);
    plan.finish()
}
