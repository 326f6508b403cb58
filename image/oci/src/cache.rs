//! Packed layers from the build before: packing takes two minutes, and most layers stay as they were.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::recompress::LEVEL;

pub(crate) struct Cache {
    old: PathBuf,
    /// Takes the place of the old one: what this build did not use goes.
    new: PathBuf,
}

impl Cache {
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let new = folder.with_extension("new");
        let doing = || format!("making {}", new.display());
        match fs::remove_dir_all(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).with_context(doing),
            Ok(()) | Err(_) => fs::create_dir_all(&new).with_context(doing)?,
        }
        Ok(Self { old: folder.to_owned(), new })
    }

    /// The packed layer with that content.
    pub(crate) fn get(&self, content: &str) -> Option<PathBuf> {
        Some(self.old.join(name(content))).filter(|file| file.exists())
    }

    pub(crate) fn put(&self, content: &str, file: &Path) -> Result<()> {
        let copied = fs::copy(file, self.new.join(name(content)));
        copied.map(drop).with_context(|| format!("keeping the packed layer {content}"))
    }

    pub(crate) fn close(self) -> Result<()> {
        if self.old.exists() {
            fs::remove_dir_all(&self.old).with_context(|| format!("removing {}", self.old.display()))?;
        }
        fs::rename(&self.new, &self.old).with_context(|| format!("renaming {}", self.new.display()))
    }
}

/// Content, level and library say what the packed layer is.
fn name(content: &str) -> String {
    let hex = content.rsplit(':').next().unwrap_or(content);
    format!("{hex}-{LEVEL}-{}", zstd::zstd_safe::version_number())
}
