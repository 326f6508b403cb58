//! The ESP of a raw disk, read in place with mtools: no mount, no privilege, no loop device.

use std::path::Path;

use anyhow::{Context, Result, bail};

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

    /// The boot entries, as their file names say them.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn entries(&self) -> Result<Vec<EntryName>> {
        let listing = self.tools.output("mdir", ["-b", "-i", &self.at, "::/loader/entries"])?;
        let listing = String::from_utf8_lossy(&listing);
        let names = listing.lines().filter_map(|line| line.trim().rsplit('/').next());
        Ok(names.filter_map(EntryName::parse).collect())
    }

    /// The text of an entry.
    ///
    /// # Errors
    /// When there is no such entry.
    pub fn text(&self, entry: &EntryName) -> Result<String> {
        let text = self.tools.output("mtype", ["-i", &self.at, &format!("::/loader/entries/{entry}")])?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Gives an entry another name: other tries.
    ///
    /// # Errors
    /// When there is no such entry, or the name is taken.
    pub fn rename(&self, entry: &EntryName, new: &EntryName) -> Result<()> {
        let [from, to] = [entry, new].map(|name| format!("::/loader/entries/{name}"));
        self.tools.output("mren", ["-i", &self.at, &from, &to]).map(drop)
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&self, entry: &EntryName, text: &str) -> Result<()> {
        let file = tempfile::NamedTempFile::new().context("making a file for an entry")?;
        std::fs::write(&file, text).context("writing an entry")?;
        let from = file.path().display().to_string();
        self.tools.output("mcopy", ["-i", &self.at, &from, &format!("::/loader/entries/{entry}")]).map(drop)
    }

    /// Puts a file into the root of the ESP, whatever was there; `None` takes it away.
    ///
    /// # Errors
    /// When it cannot be written, or is not there.
    pub fn put(&self, name: &str, content: Option<&str>) -> Result<()> {
        let to = format!("::/{name}");
        let Some(content) = content else { return self.tools.output("mdel", ["-i", &self.at, &to]).map(drop) };
        let file = tempfile::NamedTempFile::new().context("making a file for the ESP")?;
        std::fs::write(&file, content).context("writing a file for the ESP")?;
        let from = file.path().display().to_string();
        self.tools.output("mcopy", ["-o", "-i", &self.at, &from, &to]).map(drop)
    }

    /// The kernels and initramfs, under the names of their content.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn kernels(&self) -> Result<Vec<String>> {
        let listing = self.tools.output("mdir", ["-b", "-i", &self.at, "::/ballast"])?;
        let listing = String::from_utf8_lossy(&listing);
        Ok(listing.lines().filter_map(|line| line.trim().rsplit('/').next()).map(str::to_owned).collect())
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
