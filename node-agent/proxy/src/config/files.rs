//! Which files are read, and the sentence if one cannot be.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{Keyring, Problem, Registries};
use crate::{in_root, policy::model::Policy};

const POLICY: &str = "/etc/containers/policy.json";
const REGISTRIES: &str = "/etc/containers/registries.conf";
/// Files NAME.conf in it are read after the file above, in order of their names.
const REGISTRIES_FOLDER: &str = "/etc/containers/registries.conf.d";
/// Has a folder for each registry: HOST or HOST:PORT (containers-certs.d(5)).
pub(crate) const CERTIFICATES: &str = "/etc/containers/certs.d";

/// All that is configured.
pub(crate) struct Config {
    pub(crate) policy: Policy,
    pub(crate) registries: Registries,
    pub(crate) keyring: Keyring,
}

/// Reads all of it. `policy` is a file in place of the usual one; `credentials` is a file, if there are any.
pub(crate) fn load(root: &Path, policy: Option<&Path>, credentials: Option<&Path>) -> Result<Config> {
    let policy_file = policy.map_or_else(|| in_root(root, POLICY), Path::to_owned);
    let policy = fs::read_to_string(&policy_file)
        .with_context(|| format!("reading {}: without a policy no image is trusted", policy_file.display()))?;
    let mut policy = Policy::parse(&policy).with_context(|| format!("reading the policy {}", policy_file.display()))?;
    policy.load_keys(|path| read(&in_root(root, path)))?;

    let mut registries = Registries::default();
    for file in registries_files(root)? {
        let name = file.display().to_string();
        match fs::read_to_string(&file) {
            Ok(text) => warn(&registries.add(&name, &text)),
            Err(error) => warn(&[unreadable(&name, &error)]),
        }
    }
    Ok(Config { policy, registries, keyring: credentials.map(keyring).unwrap_or_default() })
}

fn keyring(file: &Path) -> Keyring {
    let name = file.display().to_string();
    match fs::read_to_string(file) {
        Ok(text) => {
            let (keyring, problems) = Keyring::parse(&name, &text);
            warn(&problems);
            keyring
        }
        Err(error) => {
            let problem = unreadable(&name, &error);
            warn(std::slice::from_ref(&problem));
            Keyring::unreadable(&problem)
        }
    }
}

fn unreadable(file: &str, error: &io::Error) -> Problem {
    let reason = format!("it cannot be read: {error}");
    Problem { file: file.to_owned(), line: None, key: String::new(), reason }
}

fn warn(problems: &[Problem]) {
    for problem in problems {
        log::warn!("{problem}");
    }
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
}

fn registries_files(root: &Path) -> Result<Vec<PathBuf>> {
    let main = in_root(root, REGISTRIES);
    let folder = in_root(root, REGISTRIES_FOLDER);
    let mut files: Vec<PathBuf> = match fs::read_dir(&folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        entries => entries
            .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
            .with_context(|| format!("reading {}", folder.display()))?,
    };
    files.retain(|file| file.extension().is_some_and(|extension| extension == "conf"));
    files.sort();
    if main.exists() {
        files.insert(0, main);
    }
    Ok(files)
}
