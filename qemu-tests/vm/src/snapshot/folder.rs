//! The folder of one saved node: whole under its name, in part under another one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::qemu::firmware::VARIABLES;

/// Where the pieces lie.
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// That of the node `name` of this key, whether it is there or not.
    pub(super) fn at(place: &Path, name: &str, key: &str) -> Self {
        Self { path: place.join(format!("{name}-{key}")) }
    }

    /// A new one in its place, in which the pieces are made.
    pub(super) fn part(&self) -> Result<Self> {
        let path = self.path.with_extension("part");
        std::fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self { path })
    }

    /// All pieces are there.
    pub(super) fn becomes(self, whole: &Self) -> Result<()> {
        std::fs::rename(&self.path, &whole.path).with_context(|| format!("renaming {}", self.path.display()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// The machine's state.
    pub(crate) fn memory(&self) -> PathBuf {
        self.path.join("memory")
    }

    /// The disk, if it is raw.
    pub(super) fn raw(&self) -> PathBuf {
        self.path.join("disk.raw")
    }

    /// The disk, if it is an overlay over the image.
    pub(super) fn overlay(&self) -> PathBuf {
        self.path.join("disk.qcow2")
    }

    /// Keeps the boot id, the UEFI variables, if the machine has any, and what the console said.
    pub(crate) fn keep(&self, boot: &str, variables: &Path, console: &Path) -> Result<()> {
        std::fs::write(self.path.join("boot-id"), boot).context("keeping the boot id of a saved node")?;
        std::fs::copy(console, self.path.join("console.log")).context("keeping the console of a saved node")?;
        if variables.exists() {
            std::fs::copy(variables, self.path.join(VARIABLES)).context("keeping the variables of a saved node")?;
        }
        Ok(())
    }

    pub(super) fn boot_id(&self) -> Result<String> {
        std::fs::read_to_string(self.path.join("boot-id")).context("reading the boot id of a saved node")
    }

    pub(super) fn console(&self) -> Result<Vec<u8>> {
        std::fs::read(self.path.join("console.log")).context("reading the console of a saved node")
    }

    pub(super) fn variables_to(&self, scratch: &Path) -> Result<()> {
        let variables = self.path.join(VARIABLES);
        if variables.exists() {
            std::fs::copy(&variables, scratch.join(VARIABLES)).context("copying the variables of a saved node")?;
        }
        Ok(())
    }
}

/// Takes away all that was saved under `name`, whole or in part.
pub(super) fn clear(place: &Path, name: &str) -> Result<()> {
    let mine = format!("{name}-");
    for entry in std::fs::read_dir(place).with_context(|| format!("reading {}", place.display()))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&mine) {
            let path = entry.path();
            std::fs::remove_dir_all(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_whole_or_not_there_and_others_of_its_name_go() {
        let place = tempfile::tempdir().unwrap();
        let old = Folder::at(place.path(), "plain", "1");
        old.part().unwrap().becomes(&old).unwrap();
        let other = Folder::at(place.path(), "other", "1");
        other.part().unwrap().becomes(&other).unwrap();

        clear(place.path(), "plain").unwrap();
        let folder = Folder::at(place.path(), "plain", "2");
        let part = folder.part().unwrap();
        assert!(!old.exists() && other.exists() && !folder.exists());
        let console = place.path().join("console");
        std::fs::write(&console, "READY\n").unwrap();
        part.keep("b007", &place.path().join("no-variables"), &console).unwrap();
        part.becomes(&folder).unwrap();
        assert_eq!(
            (folder.boot_id().unwrap().as_str(), folder.console().unwrap().as_slice()),
            ("b007", &b"READY\n"[..])
        );
        folder.variables_to(place.path()).unwrap();
        assert!(!place.path().join(VARIABLES).exists());

        // What a crash left.
        folder.part().unwrap();
        clear(place.path(), "plain").unwrap();
        assert!(!folder.exists() && folder.part().is_ok());
    }
}
