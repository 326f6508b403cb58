//! The ESP of a raw disk, read in place with mtools: no mount, no privilege, no loop device.

use std::path::Path;

use anyhow::{Result, bail};

use super::entries::EntryName;
use super::gpt;
use crate::tools::Tools;

/// The ESP of one raw disk.
pub struct Esp<'a> {
    tools: &'a Tools,
    /// mtools' way to name a file system inside an image: `FILE@@OFFSET`.
    at: String,
}

impl<'a> Esp<'a> {
    /// Finds the ESP of the raw disk at `path` by its label.
    ///
    /// # Errors
    /// When the disk has none.
    pub fn of(tools: &'a Tools, path: &Path) -> Result<Self> {
        let esp = gpt::find(path, "ballast-esp")?;
        Ok(Self { tools, at: format!("{}@@{}", path.display(), esp.offset) })
    }

    /// The boot entries, as their file names tell them.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn entries(&self) -> Result<Vec<EntryName>> {
        let listing = self.tools.output("mdir", ["-b", "-i", &self.at, "::/loader/entries"])?;
        let listing = String::from_utf8_lossy(&listing);
        let names = listing.lines().filter_map(|line| line.trim().rsplit('/').next());
        Ok(names.filter_map(EntryName::parse).collect())
    }

    /// The one entry of a disk that has just one.
    ///
    /// # Errors
    /// When there is none, or more.
    pub fn only_entry(&self) -> Result<EntryName> {
        let mut entries = self.entries()?;
        let names = entries.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match (entries.pop(), entries.is_empty()) {
            (Some(entry), true) => Ok(entry),
            _ => bail!("the ESP should have one boot entry, but has: {names}"),
        }
    }
}
