//! `node-agent/manifests/` is what the types say.

use std::{fs, path::Path};

use ballast_cluster::manifests::manifests;
use serde_json::Value;

#[test]
fn the_manifests_are_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests");
    for manifest in manifests() {
        let found = fs::read_to_string(folder.join(manifest.file)).unwrap_or_default();
        let wanted = manifest.text().unwrap();
        assert!(
            found == wanted,
            "{} is not what the types say: run `cargo run -p ballast-cluster --example manifests` and look at the diff",
            manifest.file
        );
    }
}

#[test]
fn the_text_means_the_objects() {
    for manifest in manifests() {
        let text = manifest.text().unwrap();
        let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        assert_eq!(objects, manifest.objects, "{}", manifest.file);
    }
}

#[test]
fn the_dashboard_shows_what_agents_report() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests/grafana-dashboard.json");
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets: Vec<&Value> = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten().collect();
    assert!(targets.len() > 15, "{}", targets.len());
    // The one place where metrics are written.
    let exporter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/report/metrics/figures.rs");
    let exporter = fs::read_to_string(exporter).unwrap();
    let is_exported = |name: &str| exporter.contains(&format!("\"{name}\""));
    for target in targets {
        let query = target["expr"].as_str().unwrap();
        let words = query.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        let unknown: Vec<&str> = words.filter(|word| word.starts_with("ballast_") && !is_exported(word)).collect();
        assert!(unknown.is_empty(), "{query}: no agent reports {unknown:?}");
        assert!(query.contains("ballast_") && query.contains("$instance"), "{query}");
        assert_eq!(query.matches('{').count(), query.matches('}').count(), "{query}");
    }
}
