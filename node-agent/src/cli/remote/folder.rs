//! What a workstation keeps: contexts, certificates, the fingerprints of nodes. All of it in `~/.config/ballast`.

use std::{
    env,
    fs::{self, DirBuilder, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

/// The folder.
#[derive(Debug, Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// `$XDG_CONFIG_HOME/ballast`, or `~/.config/ballast`.
    ///
    /// # Errors
    /// If neither is known.
    pub(crate) fn of_user() -> Result<Self> {
        let said = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let config = said("XDG_CONFIG_HOME").or_else(|| Some(said("HOME")?.join(".config")));
        Ok(Self(config.context("neither HOME nor XDG_CONFIG_HOME is set; set HOME")?.join("ballast")))
    }

    #[cfg(test)]
    pub(crate) fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The place of `name` in it.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    /// What is in the file `name`; None if it is not there.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(crate) fn read(&self, name: &str) -> Result<Option<String>> {
        let path = self.path(name);
        match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            read => read.map(Some).with_context(|| format!("reading {}", path.display())),
        }
    }

    /// Makes the file `name`, for its user alone.
    ///
    /// # Errors
    /// If it is there already, or cannot be made.
    pub(crate) fn create(&self, name: &str, text: &str) -> Result<()> {
        self.write(name, text, OpenOptions::new().write(true).create_new(true))
    }

    /// Adds `text` to the end of the file `name`, for its user alone.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn append(&self, name: &str, text: &str) -> Result<()> {
        self.write(name, text, OpenOptions::new().append(true).create(true))
    }

    fn write(&self, name: &str, text: &str, how: &mut OpenOptions) -> Result<()> {
        let path = self.path(name);
        let doing = || format!("writing {}", path.display());
        let folder = path.parent().with_context(doing)?;
        DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(doing)?;
        let mut file = match how.mode(0o600).open(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => bail!("{} is there already", path.display()),
            opened => opened.with_context(doing)?,
        };
        file.write_all(text.as_bytes()).with_context(doing)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_kept_is_the_users_alone() {
        let tree = tempfile::tempdir().unwrap();
        let folder = Folder::at(tree.path().join("ballast"));
        assert_eq!(folder.read("a/b").unwrap(), None);
        folder.create("a/b", "1").unwrap();
        folder.append("a/b", "2").unwrap();
        assert_eq!(folder.read("a/b").unwrap().as_deref(), Some("12"));
        assert!(folder.create("a/b", "3").unwrap_err().to_string().ends_with("is there already"));
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(folder.path("a")), mode(folder.path("a/b"))), (0o700, 0o600));
    }
}
