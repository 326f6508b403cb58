//! Model and plan do no I/O and know no clock: whoever calls them brings what there is to know.

use std::path::Path;

use purity::{breaches, holds, sources};

#[path = "../../tests/purity/mod.rs"]
mod purity;

const IMPURE: [&str; 18] = [
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::env",
    "SystemTime::now",
    "Utc::now",
    "Timestamp::now",
    "Instant",
    "println",
    "tokio",
    "async",
    "await",
    "kube::Client",
    "crate::client",
    "crate::act",
];

#[test]
fn model_and_plan_are_pure() {
    let mut sources = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let folders = ["model/", "plan/", "manifests/"];
    sources.retain(|source| folders.iter().any(|folder| source.name.starts_with(folder)));
    assert!(sources.len() > 20, "{}", sources.len());
    assert_eq!(breaches(&sources, &IMPURE), [""; 0]);
}

#[test]
fn what_is_impure_is_found() {
    holds(&IMPURE);
}
