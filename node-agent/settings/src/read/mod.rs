//! From what the sources say to settings. One file per table; `reader` takes values out of tables.

mod api;
mod cluster;
mod debug;
#[cfg(test)]
mod field;
mod health;
mod images;
mod kernel;
mod kubelet;
mod links;
mod names;
mod network;
mod node;
mod reader;
mod registry;
#[cfg(test)]
mod tests;
mod update;

use std::collections::BTreeMap;

pub(crate) use self::names::nearest;
pub use self::names::quoted;
use self::reader::Reader;
use crate::{merged::Merged, model::Settings, problem::Problem, tree::Origin};

/// Settings, and what is known of how they came about.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// What applies.
    pub settings: Settings,
    /// What does not, source by source, each from its top to its end.
    pub problems: Vec<Problem>,
    /// What is there and not taken, in the same order, where nobody made a mistake: what platforms write by themselves.
    pub notes: Vec<Problem>,
    /// By key, as `update.auto` or `registry."r.example".mirrors`: where its value came from. What is not here is the default.
    pub origins: BTreeMap<String, Origin>,
}

pub(crate) fn read(merged: &Merged) -> Outcome {
    let mut root = Reader::root(merged.tables());
    let settings = Settings {
        hostname: root.get("hostname").given(),
        network: root.table("network", network::network),
        time: root.table("time", node::time),
        kernel: root.table("kernel", kernel::kernel),
        registries: registry::registries(&mut root),
        runtime: root.table("runtime", node::runtime),
        images: root.table("images", images::images),
        pods: root.table("pods", node::pods),
        update: root.table("update", update::update),
        health: root.table("health", health::health),
        clusters: cluster::clusters(&mut root),
        kubelet: root.table("kubelet", kubelet::kubelet),
        metrics: root.table("metrics", cluster::metrics),
        api: root.table("api", api::api),
        debug: root.table("debug", debug::debug),
        log: root.table("log", node::log),
    };
    let findings = root.finish();
    let all = merged.problems().cloned().chain(findings.problems);
    let (mut notes, mut problems): (Vec<Problem>, Vec<Problem>) =
        all.partition(|problem| merged.is_of_platform(problem));
    notes.extend(merged.notes().cloned());
    let sources = merged.sources();
    let order = |file: &str| sources.iter().position(|source| *source == file);
    for reported in [&mut problems, &mut notes] {
        reported.sort_by_cached_key(|problem| {
            (order(&problem.file), problem.place.map(|place| (place.line, place.column)), problem.key.clone())
        });
    }
    Outcome { settings, problems, notes, origins: findings.origins }
}
