//! What an artifact's manifest says: an OCI image whose annotations name its files. Pure.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, Result, bail, ensure};
use ballast_types::Digest;
use serde::{Deserialize, Serialize};

/// What the artifact is for: `kubelet`. Another artifact that is signed by the same key is not run in its place.
pub const NAME: &str = "os.ballast.artifact";

/// Its files, as JSON.
pub const FILES: &str = "os.ballast.files";

/// The version, as people say it.
pub const VERSION: &str = "org.opencontainers.image.version";

/// The machine that it is for, as Go calls it.
pub const ARCHITECTURE: &str = "os.ballast.architecture";

/// The kind of layers that are unpacked.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// A kubelet has some 110 MB; CNI's plugins have 80 in all.
const MAX_BYTES: u64 = 1 << 30;

/// A hundred programs are more than any artifact has.
const MAX_FILES: usize = 256;

/// This machine, as Go calls it.
pub const OURS: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

/// A file of an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its fs-verity digest (SHA-256, blocks of 4096 bytes, no salt), in hexadecimal digits.
    pub verity: String,
    /// Its size.
    pub bytes: u64,
}

/// A layer of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Its digest, compressed.
    pub digest: Digest,
    /// Its size, compressed.
    pub bytes: u64,
}

/// An artifact, as its manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    /// What it is for.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its files by their paths in it.
    pub files: BTreeMap<String, File>,
    /// Where they come from.
    pub layers: Vec<Layer>,
}

#[derive(Deserialize)]
struct Manifest {
    layers: Vec<Descriptor>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

impl Artifact {
    /// Reads a manifest.
    ///
    /// # Errors
    /// If it is no artifact's, or one for another machine, or has files that cannot be: which key, what is expected.
    pub fn parse(manifest: &[u8]) -> Result<Self> {
        let Manifest { layers, mut annotations } =
            serde_json::from_slice(manifest).context("the manifest is not as the OCI specifies")?;
        let mut take = |key: &str| {
            let missing = || format!("the image is no artifact of Ballast: its manifest has no annotation {key}");
            annotations.remove(key).filter(|value| !value.is_empty()).with_context(missing)
        };
        let (name, version, architecture) = (take(NAME)?, take(VERSION)?, take(ARCHITECTURE)?);
        let files: BTreeMap<String, File> = serde_json::from_str(&take(FILES)?)
            .with_context(|| format!("the annotation {FILES} is not as expected"))?;
        ensure!(is_word(&name), "the annotation {NAME} is {name:?}, expected small letters, digits and dashes");
        ensure!(is_word(&version), "the annotation {VERSION} is {version:?}, expected a version as 1.33.0");
        ensure!(architecture == OURS, "the artifact is for {architecture}, and this machine is {OURS}");
        ensure!(
            !files.is_empty() && files.len() <= MAX_FILES,
            "it has {} files, expected 1 to {MAX_FILES}",
            files.len()
        );
        for (path, file) in &files {
            check_path(path)?;
            let digest = file.verity.parse::<ballast_fsverity::Digest>();
            digest.with_context(|| format!("the annotation {FILES} has no fs-verity digest of {path}"))?;
        }
        let total = files.values().fold(0_u64, |sum, file| sum.saturating_add(file.bytes));
        ensure!(total <= MAX_BYTES, "its files have {total} bytes, expected at most {MAX_BYTES}");
        let layers = layers.into_iter().map(Descriptor::layer).collect::<Result<Vec<_>>>()?;
        Ok(Self { name, version, files, layers })
    }

    /// How many bytes its files have.
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }
}

impl Descriptor {
    fn layer(self) -> Result<Layer> {
        let Self { media_type, digest, size } = self;
        ensure!(media_type == LAYER, "a layer has the media type {media_type:?}, expected {LAYER}");
        ensure!(size <= MAX_BYTES, "a layer has {size} bytes, expected at most {MAX_BYTES}");
        Ok(Layer { digest: digest.parse().context("reading a layer's digest")?, bytes: size })
    }
}

/// A word of the file system and of a command line: nothing that either of them would take for something else.
fn is_word(text: &str) -> bool {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'+');
    text.len() <= 128 && text.bytes().all(is_fine) && !text.starts_with(['.', '-'])
}

/// # Errors
/// If the path does not lie in the artifact.
fn check_path(path: &str) -> Result<()> {
    if path.is_empty() || !path.split('/').all(|name| is_word(name) && !name.is_empty()) {
        bail!("the file {path:?} is not taken, expected a path as bin/NAME of letters, digits, dots and dashes");
    }
    Ok(())
}

/// How a file is called in a layer: tar programs put `./` in front.
pub fn in_layer(path: &Path) -> Option<&str> {
    let path = path.to_str()?;
    Some(path.strip_prefix("./").unwrap_or(path).trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn manifest() -> Value {
        let file = json!({ "kubelet": { "verity": "ab".repeat(32), "bytes": 7 } });
        json!({
            "schemaVersion": 2,
            "layers": [{ "mediaType": LAYER, "digest": format!("sha256:{}", "cd".repeat(32)), "size": 5 }],
            "annotations": { NAME: "kubelet", VERSION: "1.33.0", ARCHITECTURE: OURS, FILES: file.to_string() },
        })
    }

    #[test]
    fn a_manifest_names_its_files_and_layers() {
        let artifact = Artifact::parse(manifest().to_string().as_bytes()).unwrap();
        assert_eq!((artifact.name.as_str(), artifact.version.as_str(), artifact.bytes()), ("kubelet", "1.33.0", 7));
        assert_eq!(artifact.layers[0].bytes, 5);
    }

    #[test]
    fn what_no_artifact_may_say() {
        let files =
            |path: &str, verity: &str, bytes: u64| json!({ path: { "verity": verity, "bytes": bytes } }).to_string();
        let good = "ab".repeat(32);
        let table = [
            (NAME, "".to_owned(), "no annotation os.ballast.artifact"),
            (NAME, "../x".to_owned(), "expected small letters"),
            (VERSION, "1 33".to_owned(), "expected a version"),
            (ARCHITECTURE, "s390x".to_owned(), "the artifact is for s390x"),
            (FILES, "[]".to_owned(), "is not as expected"),
            (FILES, "{}".to_owned(), "it has 0 files"),
            (FILES, files("../kubelet", &good, 1), "is not taken"),
            (FILES, files("/kubelet", &good, 1), "is not taken"),
            (FILES, files("a//b", &good, 1), "is not taken"),
            (FILES, files("kubelet", "ab", 1), "no fs-verity digest of kubelet"),
            (FILES, files("kubelet", &good, u64::MAX), "expected at most"),
        ];
        for (key, value, expected) in table {
            let mut manifest = manifest();
            manifest["annotations"][key] = json!(value);
            let error = format!("{:#}", Artifact::parse(manifest.to_string().as_bytes()).unwrap_err());
            assert!(error.contains(expected), "{key}={value}: {error}");
        }
        let mut other = manifest();
        other["layers"][0]["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+zstd");
        assert!(Artifact::parse(other.to_string().as_bytes()).is_err());
        assert!(Artifact::parse(b"[]").is_err());
    }

    #[test]
    fn names_in_a_layer() {
        for (path, expected) in [("./kubelet", "kubelet"), ("bin/", "bin"), ("a/b", "a/b"), ("../a", "../a")] {
            assert_eq!(in_layer(Path::new(path)), Some(expected));
        }
    }
}
