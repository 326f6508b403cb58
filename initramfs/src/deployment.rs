//! Deployments: their names, and where they lie on ROOT.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, bail};

/// Where the deployments of the one stateroot lie, below the mounted ROOT.
pub const DEPLOYMENTS: &str = "ostree/deploy/ballast/deploy";

/// A deployment's name, COMMIT.SERIAL: valid by construction, so it is safe in a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeploymentId(String);

impl FromStr for DeploymentId {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (commit, serial) = text.split_once('.').ok_or_else(|| anyhow!("it is not of the form COMMIT.SERIAL"))?;
        if commit.len() != 64 || !commit.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            bail!("the commit is not 64 lower-case hexadecimal digits");
        }
        if serial.is_empty() || serial.len() > 9 || !serial.bytes().all(|b| b.is_ascii_digit()) {
            bail!("the serial is not a number");
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for DeploymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl DeploymentId {
    /// The deployment's folder, below ROOT mounted at `root`.
    pub fn path(&self, root: &Path) -> PathBuf {
        root.join(DEPLOYMENTS).join(&self.0)
    }
}

/// The folder of the named deployment on ROOT mounted at `root`.
///
/// # Errors
/// If it is not there; the error names those that are.
pub fn find(root: &Path, id: &DeploymentId) -> Result<PathBuf> {
    let path = id.path(root);
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_dir() => Ok(path),
        Ok(_) => bail!("{id} is not a folder"),
        Err(error) => Err(error).with_context(|| format!("opening {id} ({})", describe(&list(root)))),
    }
}

/// The folder of the only deployment on ROOT mounted at `root`, as on a disk that was just made.
///
/// # Errors
/// If there is none, or more than one.
pub fn only(root: &Path) -> Result<PathBuf> {
    match list(root).as_slice() {
        [name] => Ok(root.join(DEPLOYMENTS).join(name)),
        names => bail!("there is not just one deployment: {}", describe(names)),
    }
}

fn list(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root.join(DEPLOYMENTS)).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| DeploymentId::from_str(name).is_ok())
        .collect();
    names.sort_unstable();
    names
}

fn describe(names: &[String]) -> String {
    if names.is_empty() { "no deployment is there".into() } else { format!("there: {}", names.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let commit = "0123456789abcdef".repeat(4);
        assert!(format!("{commit}.0").parse::<DeploymentId>().is_ok());
        assert!(format!("{commit}.12").parse::<DeploymentId>().is_ok());
        for bad in [
            String::new(),
            commit.clone(),
            format!("{commit}."),
            format!("{commit}.x"),
            format!("{commit}.-1"),
            format!("{commit}.1234567890"),
            format!("{commit}.0/.."),
            format!("{}.0", &commit[1..]),
            format!("{}.0", commit.to_uppercase()),
            "../../../../etc.0".to_owned(),
        ] {
            assert!(bad.parse::<DeploymentId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_missing_deployment_is_reported_with_those_that_are_there() {
        let root = std::env::temp_dir().join(format!("ballast-initramfs-deployment-{}", std::process::id()));
        let wanted: DeploymentId = format!("{}.0", "a".repeat(64)).parse().unwrap();
        let error = format!("{:#}", find(&root, &wanted).unwrap_err());
        assert!(error.contains("no deployment is there"), "{error}");

        let other = format!("{}.1", "b".repeat(64));
        fs::create_dir_all(root.join(DEPLOYMENTS).join(&other)).unwrap();
        fs::write(root.join(DEPLOYMENTS).join(format!("{other}.origin")), "").unwrap();
        let error = format!("{:#}", find(&root, &wanted).unwrap_err());
        assert!(error.contains(&format!("(there: {other})")), "{error}");
        assert_eq!(only(&root).unwrap(), root.join(DEPLOYMENTS).join(&other));

        fs::create_dir_all(wanted.path(&root)).unwrap();
        assert_eq!(find(&root, &wanted).unwrap(), wanted.path(&root));
        assert!(only(&root).is_err());
        fs::remove_dir_all(&root).unwrap();
    }
}
