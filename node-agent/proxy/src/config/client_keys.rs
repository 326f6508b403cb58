//! Keys of our own certificates (containers-certs.d(5)) that root alone may read, for a proxy that is not root.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::Path};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::files::CERTIFICATES;
use crate::in_root;

/// A key has some hundred bytes, with RSA some thousand.
const MAX_KEY_BYTES: u64 = 64 << 10;

/// By file, in PEM.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct ClientKeys(BTreeMap<String, String>);

impl ClientKeys {
    /// Those in certs.d under `root` that others may not read. One that cannot be read is left out with a warning.
    pub(crate) fn secret(root: &Path) -> Self {
        let folders = fs::read_dir(in_root(root, CERTIFICATES)).into_iter().flatten().flatten();
        let files = folders.flat_map(|folder| fs::read_dir(folder.path()).into_iter().flatten().flatten());
        let keys = files.map(|file| file.path()).filter(|path| path.extension().is_some_and(|ending| ending == "key"));
        let entry = |path: std::path::PathBuf| match secret(&path) {
            Ok(text) => Some((path.to_str()?.to_owned(), text?)),
            Err(error) => {
                log::warn!("{}: this key of our own certificate is left out: {error:#}", path.display());
                None
            }
        };
        Self(keys.filter_map(entry).collect())
    }

    /// Those that were handed over in `file`.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let doing = || format!("reading {}, the keys of our own certificates", file.display());
        serde_json::from_str(&fs::read_to_string(file).with_context(doing)?).with_context(doing)
    }

    /// As [`Self::read`] reads it; none if there are no keys.
    pub(crate) fn text(&self) -> Result<Option<String>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        serde_json::to_string(self).map(Some).context("writing the keys of our own certificates")
    }

    /// The key in `file`, if it was handed over.
    pub(crate) fn get(&self, file: &Path) -> Option<&str> {
        self.0.get(file.to_str()?).map(String::as_str)
    }
}

/// What is in `file`; none if everybody may read it.
fn secret(file: &Path) -> Result<Option<String>> {
    let found = fs::metadata(file)?;
    if found.permissions().mode() & 0o004 != 0 {
        return Ok(None);
    }
    ensure!(found.is_file() && found.len() <= MAX_KEY_BYTES, "expected a file of at most {MAX_KEY_BYTES} bytes");
    Ok(Some(fs::read_to_string(file)?))
}
