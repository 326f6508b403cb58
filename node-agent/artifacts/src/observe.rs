//! What is in the store.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use ballast_types::Digest;
use sha2::{Digest as _, Sha256};

use crate::{
    failure::{Failure, Kind},
    measure,
    model::Artifact,
};

/// As the image proxy holds manifests.
const MAX_MANIFEST: u64 = 4 << 20;

/// The only algorithm of the store: its folders are named by the letters alone.
const ALGORITHM: &str = "sha256";

/// The folder of one version.
///
/// # Errors
/// If the digest is of another algorithm.
pub fn folder(store: &Path, digest: &Digest) -> Result<PathBuf> {
    ensure!(digest.algorithm() == ALGORITHM, "{digest} is not taken, expected {ALGORITHM}");
    Ok(store.join(digest.hex()))
}

/// The versions that are there, whole or damaged.
///
/// # Errors
/// If the store cannot be read.
pub fn present(store: &Path) -> Result<Vec<Digest>> {
    let doing = || format!("reading {}", store.display());
    let entries = match fs::read_dir(store) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(doing)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.with_context(doing)?.file_name();
        found.extend(name.to_str().and_then(|name| format!("{ALGORITHM}:{name}").parse().ok()));
    }
    found.sort();
    Ok(found)
}

/// The artifact with `digest`, as its kept manifest says, which is the one with that digest or none at all.
///
/// # Errors
/// [`Kind::Damaged`] if the manifest is missing or another one.
pub fn artifact(store: &Path, digest: &Digest) -> Result<Artifact> {
    let path = folder(store, digest)?.join("manifest.json");
    let doing = || format!("reading {}", path.display());
    let mut manifest = Vec::new();
    match File::open(&path) {
        Ok(file) => file.take(MAX_MANIFEST).read_to_end(&mut manifest).map(drop).with_context(doing)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Failure::new(Kind::Damaged, "it is not there")).with_context(doing);
        }
        Err(error) => return Err(error).with_context(doing),
    }
    let found = hex::encode(Sha256::digest(&manifest));
    if found != digest.hex() {
        let why = format!("its digest is {ALGORITHM}:{found}, expected {digest}");
        return Err(Failure::new(Kind::Damaged, why)).with_context(doing);
    }
    Artifact::parse(&manifest).with_context(doing)
}

/// The artifact with `digest`, all of whose files are what was signed.
///
/// # Errors
/// [`Kind::Damaged`] if one is not.
pub fn check(store: &Path, digest: &Digest) -> Result<Artifact> {
    let artifact = artifact(store, digest)?;
    let files = folder(store, digest)?.join("files");
    for (name, file) in &artifact.files {
        let mut open = measure::open(&files.join(name), &file.verity)?;
        // The kernel holds what is read to the digest: rot shows only so.
        let read = io::copy(&mut open, &mut io::sink());
        read.map_err(|error| Failure::new(Kind::Damaged, format!("{name} cannot be read: {error}")))?;
    }
    Ok(artifact)
}

/// The file `name` of the artifact with `digest`, open, and what was signed.
///
/// # Errors
/// [`Kind::Damaged`] if it is not; else if there is none of that name.
pub fn open(store: &Path, digest: &Digest, name: &str) -> Result<File> {
    let artifact = artifact(store, digest)?;
    let file = artifact.files.get(name).with_context(|| {
        let names: Vec<&str> = artifact.files.keys().map(String::as_str).collect();
        format!("{digest} has no file {name}, it has {}", names.join(", "))
    })?;
    measure::open(&folder(store, digest)?.join("files").join(name), &file.verity)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_has_to_be_the_one_that_the_folder_is_named_for() {
        let store = tempfile::tempdir().unwrap();
        let digest: Digest = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
        assert_eq!(present(&store.path().join("none")).unwrap(), []);
        let error = artifact(store.path(), &digest).unwrap_err();
        assert_eq!(crate::failure::kind(&error), Kind::Damaged);
        fs::create_dir(store.path().join(digest.hex())).unwrap();
        fs::create_dir(store.path().join(".new")).unwrap();
        fs::write(store.path().join(digest.hex()).join("manifest.json"), "{}").unwrap();
        let error = artifact(store.path(), &digest).unwrap_err();
        assert!(format!("{error:#}").contains("expected sha256:abab"), "{error:#}");
        assert_eq!(present(store.path()).unwrap(), [digest]);
    }
}
