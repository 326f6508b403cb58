//! `node-agent/manifests/` is what the types say.

#![expect(clippy::unwrap_used, reason = "in a test a panic is the verdict")]

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
