//! The reference part of the manual, made from the code. `BALLAST_DOCS=write cargo test -p ballast --test reference` writes
//! `docs/reference/*.md`; without it the test compares.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

mod cli;
mod metrics;
mod schema;
mod status;

use std::{env, fs, path::Path};

/// What stands at the top of each page.
const NOTICE: &str = "<!-- Made from the code: BALLAST_DOCS=write cargo test -p ballast --test reference -->\n\n";

fn check(name: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference").join(name);
    let page = format!("{NOTICE}{}\n", page.trim_end());
    if env::var_os("BALLAST_DOCS").is_some_and(|mode| mode == "write") {
        fs::write(&path, &page).unwrap();
    }
    let there = fs::read_to_string(&path).unwrap_or_default();
    let line = page.lines().zip(there.lines()).position(|(new, old)| new != old).map_or(1, |at| at + 1);
    assert!(
        page == there,
        "docs/reference/{name} is out of date from line {line} on: run BALLAST_DOCS=write cargo test -p ballast --test reference, and commit it"
    );
}

/// A text that stands in a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|").replace('<', "&lt;")
}

#[test]
fn the_command_line() {
    check("cli.md", &cli::page(&ballast::cli::command()));
}

#[test]
fn metrics_page() {
    check("metrics.md", &metrics::page(&ballast::report::metrics::example()));
}

#[test]
fn settings() {
    check("settings.md", &schema::settings(include_str!("../../settings/settings.schema.json")));
}

#[test]
fn node_os() {
    check("nodeos.md", &schema::node_os(include_str!("../../manifests/base/crd.yaml")));
}

#[test]
fn status_json() {
    let sources = ["mod", "boot", "clusters", "pods", "settings"].map(|name| format!("status/{name}.rs"));
    let read =
        |path: String| fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("types/src").join(path)).unwrap();
    let sources: Vec<String> = sources.into_iter().chain(["releases.rs".to_owned()]).map(read).collect();
    check("status.md", &status::page(&sources));
}

#[test]
fn a_cell_stays_in_its_cell() {
    assert_eq!(cell("a | b\n  <c>"), "a \\| b &lt;c>");
}
