//! Packs programs as an artifact: an OCI layout that others push and sign. Not in the worker.
//!
//! The same files give the same digest: no times, no owners.

use std::{
    fs::{self, File},
    io::{BufReader, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use flate2::{Compression, GzBuilder};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use crate::model::{self, Artifact};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// Writes the artifact `name` in `version`, with the programs `files` by their names, into the folder `out`, which is made anew. Gives its digest.
///
/// # Errors
/// If a file cannot be read or written, or a node would not take the artifact.
pub fn pack(name: &str, version: &str, out: &Path, files: &[PathBuf]) -> Result<String> {
    ensure!(!files.is_empty(), "which files? expected NAME VERSION OUT FILE...");
    let blobs = out.join("blobs/sha256");
    if out.exists() {
        fs::remove_dir_all(out).with_context(|| format!("removing {}", out.display()))?;
    }
    fs::create_dir_all(&blobs).with_context(|| format!("making {}", out.display()))?;
    let blob = |bytes: &[u8]| -> Result<String> {
        let hex = hex::encode(Sha256::digest(bytes));
        fs::write(blobs.join(&hex), bytes).context("writing a blob")?;
        Ok(format!("sha256:{hex}"))
    };
    let mut described = Map::new();
    let mut archive = tar::Builder::new(Vec::new());
    for path in files {
        let called = path.file_name().and_then(|name| name.to_str()).context("a file's name is not in UTF-8")?;
        let open = || File::open(path).with_context(|| format!("opening {}", path.display()));
        let (verity, bytes) = ballast_fsverity::compute(BufReader::new(open()?))
            .with_context(|| format!("reading {}", path.display()))?;
        described.insert(called.to_owned(), json!({ "verity": verity.to_string(), "bytes": bytes }));
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes);
        header.set_mode(0o555);
        archive.append_data(&mut header, called, open()?).with_context(|| format!("packing {called}"))?;
    }
    let archive = archive.into_inner().context("packing")?;
    let diff = format!("sha256:{}", hex::encode(Sha256::digest(&archive)));
    let mut gzip = GzBuilder::new().write(Vec::new(), Compression::default());
    gzip.write_all(&archive).context("compressing")?;
    let layer = gzip.finish().context("compressing")?;
    let config = json!({ "architecture": model::OURS, "os": "linux", "rootfs": { "type": "layers", "diff_ids": [diff] }, "config": {} });
    let config = serde_json::to_vec(&config)?;
    let descriptor = |kind: &str, bytes: &[u8]| -> Result<Value> {
        Ok(json!({ "mediaType": kind, "digest": blob(bytes)?, "size": bytes.len() }))
    };
    let manifest = serde_json::to_vec(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, &config)?,
        "layers": [descriptor(model::LAYER, &layer)?],
        "annotations": {
            model::NAME: name,
            model::VERSION: version,
            model::ARCHITECTURE: model::OURS,
            model::FILES: Value::Object(described).to_string(),
        },
    }))?;
    // As a node will read it: what it would refuse is reported here.
    Artifact::parse(&manifest).context("a node would not take this artifact")?;
    let index = json!({ "schemaVersion": 2, "manifests": [descriptor(MANIFEST, &manifest)?] });
    fs::write(out.join("index.json"), serde_json::to_vec(&index)?).context("writing the index")?;
    fs::write(out.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).context("writing the layout")?;
    Ok(format!("sha256:{}", hex::encode(Sha256::digest(&manifest))))
}
