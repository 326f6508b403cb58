//! Model and plan do no I/O and know no clock: whoever calls them brings what there is to know.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

use std::{fs, path::Path};

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

/// What `text` names that a pure file does without.
fn impure(text: &str) -> Vec<&'static str> {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let text = lines.collect::<Vec<_>>().join("\n").replace("use std::{", "use std::{std::");
    IMPURE.into_iter().filter(|name| text.contains(name)).collect()
}

fn check(folder: &Path, seen: &mut usize) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            check(&path, seen);
        } else if !path.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            assert_eq!(impure(text), [""; 0], "{}", path.display());
            *seen += 1;
        }
    }
}

#[test]
fn model_and_plan_are_pure() {
    let mut seen = 0;
    for folder in ["model", "plan", "manifests"] {
        check(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder), &mut seen);
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn what_is_impure_is_found() {
    assert_eq!(impure("use std::{fs, io};"), ["std::fs"]);
    assert_eq!(impure("let now = SystemTime::now();"), ["SystemTime::now"]);
    assert_eq!(impure("// std::fs"), [""; 0]);
}
