//! Packed layers from the build before: packing takes two minutes, and most layers stay as they were.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

pub(crate) struct Cache {
    old: PathBuf,
    /// Takes the place of the old one: what this build did not use goes.
    new: PathBuf,
    /// How layers are packed: packed otherwise, the same content is another layer.
    packing: String,
}

impl Cache {
    pub(crate) fn open(folder: &Path, packing: String) -> Result<Self> {
        let new = folder.with_extension("new");
        let doing = || format!("making {}", new.display());
        match fs::remove_dir_all(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).with_context(doing),
            Ok(()) | Err(_) => fs::create_dir_all(&new).with_context(doing)?,
        }
        Ok(Self { old: folder.to_owned(), new, packing })
    }

    /// The packed layer with that content.
    pub(crate) fn get(&self, content: &str) -> Option<PathBuf> {
        Some(self.old.join(self.name(content))).filter(|file| file.exists())
    }

    pub(crate) fn put(&self, content: &str, file: &Path) -> Result<()> {
        let copied = fs::copy(file, self.new.join(self.name(content)));
        copied.map(drop).with_context(|| format!("keeping the packed layer {content}"))
    }

    pub(crate) fn close(self) -> Result<()> {
        if self.old.exists() {
            fs::remove_dir_all(&self.old).with_context(|| format!("removing {}", self.old.display()))?;
        }
        fs::rename(&self.new, &self.old).with_context(|| format!("renaming {}", self.new.display()))
    }

    /// Content and packing say what the packed layer is.
    fn name(&self, content: &str) -> String {
        let hex = content.rsplit(':').next().unwrap_or(content);
        format!("{hex}-{}", self.packing)
    }
}
