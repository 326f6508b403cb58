//! ROOT and VAR: their journals replayed as at the next boot, checked, read, and put back as they were.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use ballast_initramfs::ext4::{self, State};
use ext4_view::Ext4;

use super::super::disk::{Region, Scratch, duplicate};
use crate::tools::Tools;

/// What e2fsck said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fsck {
    /// `e2fsck -p` did more than replay the journal
    pub is_mended: bool,
    /// What is wrong with the file system once its journal is replayed
    pub damage: Option<String>,
}

/// A region whose journal is replayed, until this is put back.
pub(super) struct Replayed<'a> {
    tools: &'a Tools,
    /// The region's own file, or a copy that e2fsck had to mend
    place: PathBuf,
    undo: PathBuf,
    is_back: bool,
}

/// e2fsck(8): from this status on not all is well.
const UNCORRECTED: i32 = 4;

impl<'a> Replayed<'a> {
    /// Has `e2fsck -p` replay the journal of `region`, as /init does for VAR and the kernel for ROOT, and looks whether all is well then.
    /// VAR is mended by /init if it is not; ROOT is not.
    pub(super) fn of(tools: &'a Tools, scratch: &'a Scratch, region: Region) -> Result<(Self, Fsck)> {
        let undo = scratch.folder().join("e2fsck.undo");
        remove(&undo)?;
        let mut replayed = Self { tools, place: scratch.path(region).to_owned(), undo, is_back: false };
        let mut is_mended = false;
        if matches!(ext4::load(&replayed.place)?, State::Torn) {
            // As /init does, and by the same code.
            replayed.copy(scratch)?;
            if let Err(error) = ext4::mend(&replayed.place) {
                return Ok((replayed, Fsck { is_mended, damage: Some(format!("{error:#}")) }));
            }
            is_mended = true;
        }
        let preen = replayed.e2fsck(&["-p"], true)?;
        is_mended |= preen.status & 1 != 0;
        if preen.status >= UNCORRECTED && region == Region::Var {
            replayed.undo(&preen)?;
            replayed.copy(scratch)?;
            // First as there, so that the journal is replayed where it can be.
            replayed.e2fsck(&["-p"], false)?;
            replayed.e2fsck(&["-f", "-y"], false)?;
            is_mended = true;
        } else if preen.status >= UNCORRECTED {
            replayed.undo(&preen)?;
            return Ok((replayed, Fsck { is_mended, damage: Some(preen.describe()) }));
        }
        let check = replayed.e2fsck(&["-f", "-n"], false)?;
        let damage = (check.status != 0).then(|| check.describe());
        Ok((replayed, Fsck { is_mended, damage }))
    }

    /// From now on it is a copy that is worked on, which nothing has to be undone in.
    fn copy(&mut self, scratch: &Scratch) -> Result<()> {
        let copy = scratch.folder().join("mended");
        if self.place != copy {
            duplicate(&self.place, &copy)?;
        }
        self.place = copy;
        Ok(())
    }

    /// Its files.
    pub(super) fn files(&self) -> Result<Ext4> {
        Ext4::load_from_path(&self.place).with_context(|| format!("reading {}", self.place.display()))
    }

    /// Which of the files `paths` have fs-verity, in their order; none where there is no such file.
    pub(super) fn verity(&self, paths: &[String]) -> Result<Vec<Option<bool>>> {
        /// EXT4_VERITY_FL.
        const VERITY: u64 = 0x0010_0000;
        let script = self.undo.with_extension("script");
        let lines: String = paths.iter().map(|path| format!("stat {path}\n")).collect();
        std::fs::write(&script, lines).context("writing a script for debugfs")?;
        let mut command = self.tools.command("debugfs");
        let done = command.arg("-f").arg(&script).arg(&self.place).env("DEBUGFS_PAGER", "cat").output();
        let said = done.context("starting debugfs (`make setup` installs it)")?.stdout;
        let said = String::from_utf8_lossy(&said);
        let answers: Vec<Option<bool>> = said
            .split("debugfs: stat ")
            .skip(1)
            .map(|answer| {
                let flags = answer.split("Flags: 0x").nth(1)?.split_whitespace().next()?;
                u64::from_str_radix(flags, 16).ok().map(|flags| flags & VERITY != 0)
            })
            .collect();
        ensure!(answers.len() == paths.len(), "debugfs described {} files, not of {}", answers.len(), paths.len());
        Ok(answers)
    }

    /// The region is again as the cut left it.
    pub(super) fn put_back(mut self) -> Result<()> {
        self.is_back = true;
        self.restore()
    }

    /// Undoes what an e2fsck did that could not mend all.
    fn undo(&self, ended: &Ended) -> Result<()> {
        // An operational error: it did not get as far as to write, nor to close its undo file.
        if ended.status & OPERATIONAL != 0 { remove(&self.undo) } else { self.restore() }
    }

    fn restore(&self) -> Result<()> {
        if self.undo.exists() {
            self.tools.output("e2undo", [&self.undo, &self.place]).context("undoing what e2fsck did")?;
            remove(&self.undo)?;
        }
        Ok(())
    }

    fn e2fsck(&self, options: &[&str], with_undo: bool) -> Result<Ended> {
        let mut command = self.tools.command("e2fsck");
        command.args(options);
        if with_undo {
            command.arg("-z").arg(&self.undo);
        }
        let done = command.arg(&self.place).output().context("starting e2fsck (`make setup` installs it)")?;
        let status = done.status.code().context("e2fsck was ended by a signal")?;
        ensure!(status <= 15, "e2fsck ended with {status}: {}", String::from_utf8_lossy(&done.stderr).trim());
        let said = [done.stdout, done.stderr].concat();
        Ok(Ended { status, said: String::from_utf8_lossy(&said).into_owned() })
    }
}

/// e2fsck(8): it could not do its work.
const OPERATIONAL: i32 = 8;

impl Drop for Replayed<'_> {
    fn drop(&mut self) {
        if !self.is_back {
            // There is an error already, and the disk is not used any more.
            let _ = self.restore();
        }
    }
}

#[derive(Clone, Debug)]
struct Ended {
    status: i32,
    said: String,
}

impl Ended {
    fn describe(&self) -> String {
        format!("{} (e2fsck ended with {})", self.said.trim().replace('\n', "; "), self.status)
    }
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
