//! Takes note of what happens while a disk is recorded.

use std::path::Path;

use anyhow::{Context, Result};

use super::log::Log;
use super::marks::{self, Holds, Mark, Promise};
use super::run::Recording;

/// A recording that is being made: the disk is [`crate::disk::Disk::recorded`] in it.
#[derive(Debug)]
pub struct Recorder {
    /// Where it lies
    pub recording: Recording,
    marks: Vec<Mark>,
}

impl Recorder {
    /// A new one in the folder `folder`, in place of one that is there.
    ///
    /// # Errors
    /// When the folder cannot be made or emptied.
    pub fn create(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let recording = Recording::at(folder);
        for file in [&recording.base, &recording.log, &recording.marks] {
            if file.exists() {
                std::fs::remove_file(file).with_context(|| format!("removing {}", file.display()))?;
            }
        }
        Ok(Self { recording, marks: Vec::new() })
    }

    /// Notes that something begins or is done.
    ///
    /// # Errors
    /// When the log cannot be read, or the mark cannot be written.
    pub fn mark(&mut self, name: &str) -> Result<()> {
        self.note(name, None, None)
    }

    /// Notes that the node has answered for something: that the file `path` on VAR holds `text`, or is gone. From now on no power cut may
    /// undo that.
    ///
    /// # Errors
    /// As [`Recorder::mark`].
    pub fn answered(&mut self, name: &str, path: &str, text: Option<&str>) -> Result<()> {
        self.note(name, Some(Holds { path: path.to_owned(), text: text.map(str::to_owned) }), None)
    }

    /// Notes that the node has answered that another release boots next.
    ///
    /// # Errors
    /// As [`Recorder::mark`].
    pub fn answered_release(&mut self, name: &str) -> Result<()> {
        self.promised(name, Promise::New)
    }

    /// Notes which release boots from now on.
    ///
    /// # Errors
    /// As [`Recorder::mark`].
    pub fn promised(&mut self, name: &str, promise: Promise) -> Result<()> {
        self.note(name, None, Some(promise))
    }

    /// Notes that the disk heeds FUA without telling the log: NVMe.
    ///
    /// # Errors
    /// As [`Recorder::mark`].
    pub fn heeds_fua(&mut self) -> Result<()> {
        self.mark("the disk heeds FUA")?;
        self.marks.iter_mut().for_each(|mark| mark.heeds_fua = true);
        marks::write(&self.recording.marks, &self.marks)
    }

    fn note(&mut self, name: &str, holds: Option<Holds>, boots: Option<Promise>) -> Result<()> {
        // Nothing is recorded before the machine starts.
        let is_begun = self.recording.log.metadata().is_ok_and(|found| found.len() > 0);
        let entries = if is_begun { usize::try_from(Log::length(&self.recording.log)?)? } else { 0 };
        self.marks.push(Mark { name: name.to_owned(), entries, holds, boots, heeds_fua: false });
        marks::write(&self.recording.marks, &self.marks)
    }
}
