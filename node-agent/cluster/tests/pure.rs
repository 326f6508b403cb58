//! Model and plan do no I/O and know no clock: whoever calls them brings what there is to know.

use std::path::Path;

use purity::{check, impure};

#[path = "../../tests/purity/mod.rs"]
mod purity;

const IMPURE: [&str; 16] = [
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::env",
    "SystemTime::now",
    "Utc::now",
    "Instant",
    "tokio",
    "async ",
    ".await",
    "kube::Client",
    "crate::client",
    "crate::act",
];

#[test]
fn model_and_plan_are_pure() {
    let mut seen = 0;
    for folder in ["model", "plan", "manifests"] {
        seen += check(&IMPURE, &Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder));
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn what_is_impure_is_found() {
    assert_eq!(impure(&IMPURE, "use std::{fs, io};"), ["std::fs"]);
    assert_eq!(impure(&IMPURE, "let now = SystemTime::now();"), ["SystemTime::now"]);
    assert_eq!(impure(&IMPURE, "// std::fs"), [""; 0]);
}
