//! The ext4 file systems of a raw disk, ROOT and VAR, looked at and damaged from the host with debugfs: no mount, no privilege.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::gpt::{self, Partition};
use crate::tools::{self, Tools};

/// mke2fs chooses 4096 for everything of this size.
const BLOCK: u64 = 4096;
/// EXT4_VERITY_FL: the file has fs-verity.
const VERITY: u64 = 0x0010_0000;

/// ROOT of one raw disk, or VAR.
pub struct Root<'a> {
    tools: &'a Tools,
    disk: PathBuf,
    partition: Partition,
}

impl<'a> Root<'a> {
    /// Finds ROOT of the raw disk at `path` by its label.
    ///
    /// # Errors
    /// When the disk has none.
    pub fn of(tools: &'a Tools, path: &Path) -> Result<Self> {
        Ok(Self { tools, disk: path.to_owned(), partition: gpt::find(path, "ballast-root")? })
    }

    /// The same for VAR.
    ///
    /// # Errors
    /// When the disk has none.
    pub fn var(tools: &'a Tools, path: &Path) -> Result<Self> {
        Ok(Self { tools, disk: path.to_owned(), partition: gpt::find(path, "ballast-var")? })
    }

    /// Has debugfs do `requests`, one after the other.
    ///
    /// # Errors
    /// When it cannot do one of them.
    pub fn edit(&self, requests: &[&str]) -> Result<()> {
        requests.iter().try_for_each(|request| self.debugfs(true, request).map(drop))
    }

    /// Takes the partition out of the table; its bytes stay.
    ///
    /// # Errors
    /// When sfdisk cannot.
    pub fn delete_partition(&self) -> Result<()> {
        let (disk, number) = (self.disk.display().to_string(), self.partition.number.to_string());
        self.tools
            .output("sfdisk", ["--quiet", "--no-reread", "--no-tell-kernel", "--delete", &disk, &number])
            .map(drop)
    }

    /// Takes the name `path` away; what it named stays, unreachable.
    ///
    /// # Errors
    /// When there is no such name.
    pub fn unlink(&self, path: &str) -> Result<()> {
        self.debugfs(true, &format!("unlink {path}")).map(drop)
    }

    /// Sets the length of the file `path` to `bytes`.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn truncate(&self, path: &str, bytes: u64) -> Result<()> {
        self.debugfs(true, &format!("set_inode_field {path} size {bytes}")).map(drop)
    }

    /// The content objects of the ostree repository: the files that have data of their own.
    ///
    /// # Errors
    /// When there is no repository.
    pub fn objects(&self) -> Result<Vec<String>> {
        let folders: Vec<String> = (0..=255).map(|byte| format!("/ostree/repo/objects/{byte:02x}")).collect();
        let listings = self.script(folders.iter().map(|folder| format!("ls -p {folder}")))?;
        Ok(content_objects(&listings))
    }

    /// Flips every bit of the first block of the file `path`, beneath the file system.
    ///
    /// # Errors
    /// When there is no such file, or it has no block.
    pub fn damage(&self, path: &str) -> Result<()> {
        let answer = self.debugfs(false, &format!("bmap {path} 0"))?;
        let block: u64 = answer.trim().parse().with_context(|| format!("finding the block of {path}: {answer:?}"))?;
        if block == 0 {
            bail!("{path} has no block of its own to damage");
        }
        let disk =
            OpenOptions::new().read(true).write(true).open(&self.disk).context("opening the disk to damage it")?;
        let at = self.partition.offset + block * BLOCK;
        let mut bytes = vec![0; BLOCK as usize];
        disk.read_exact_at(&mut bytes, at).context("reading the block to damage")?;
        for byte in &mut bytes {
            *byte = !*byte;
        }
        disk.write_all_at(&bytes, at).context("damaging the block")
    }

    /// Which of the files `paths` have fs-verity, in their order.
    ///
    /// # Errors
    /// When a file is missing.
    pub fn verity(&self, paths: &[String]) -> Result<Vec<bool>> {
        let text = self.script(paths.iter().map(|path| format!("stat {path}")))?;
        let flags = verity_flags(&text);
        if flags.len() != paths.len() {
            bail!("debugfs reported the flags of {} files, not of {}", flags.len(), paths.len());
        }
        Ok(flags)
    }

    /// Runs many read-only requests at once; debugfs prints each before its answer.
    fn script(&self, requests: impl Iterator<Item = String>) -> Result<String> {
        let script = tempfile::NamedTempFile::new().context("making a script for debugfs")?;
        let lines: String = requests.map(|request| request + "\n").collect();
        std::fs::write(&script, lines).context("writing a script for debugfs")?;
        let mut command = self.tools.command("debugfs");
        command.arg("-f").arg(script.path()).arg(self.device()).env("DEBUGFS_PAGER", "cat");
        Ok(String::from_utf8_lossy(&tools::output("debugfs", &mut command)?).into_owned())
    }

    fn debugfs(&self, write: bool, request: &str) -> Result<String> {
        let mut command: Command = self.tools.command("debugfs");
        if write {
            command.arg("-w");
        }
        command.args(["-R", request]).arg(self.device()).env("DEBUGFS_PAGER", "cat");
        let done = command.output().context("starting debugfs (`make setup` installs it)")?;
        let (said, complained) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        // debugfs ends with 0 whatever happens; its stderr has its version and then what went wrong.
        let warnings: Vec<_> = complained.lines().filter(|line| !line.starts_with("debugfs ")).collect();
        if !done.status.success() || !warnings.is_empty() {
            bail!("debugfs could not {request}: {}", warnings.join("; "));
        }
        Ok(said.into_owned())
    }

    /// libext2fs finds a file system inside a file by this suffix.
    fn device(&self) -> String {
        format!("{}?offset={}", self.disk.display(), self.partition.offset)
    }
}

/// Reads `debugfs: ls -p FOLDER` and under it `/INODE/MODE/UID/GID/NAME/SIZE/` of each file in it.
fn content_objects(listings: &str) -> Vec<String> {
    let mut folder = "";
    let mut objects = Vec::new();
    for line in listings.lines() {
        if let Some(named) = line.strip_prefix("debugfs: ls -p ") {
            folder = named;
        }
        let fields: Vec<&str> = line.split('/').collect();
        // Links are objects too, but have no data that could be sealed.
        if let ["", _, mode, _, _, name, _, ""] = fields[..]
            && mode.starts_with("100")
            && name.ends_with(".file")
        {
            objects.push(format!("{folder}/{name}"));
        }
    }
    objects
}

/// Reads `Inode: 12   Type: regular    Mode:  0644   Flags: 0x180000` of each `stat`.
fn verity_flags(text: &str) -> Vec<bool> {
    let flags =
        text.lines().filter(|line| line.starts_with("Inode:")).filter_map(|line| line.split("Flags: 0x").nth(1));
    flags.map(|hex| u64::from_str_radix(hex.trim(), 16).is_ok_and(|flags| flags & VERITY != 0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_the_regular_files_under_their_folders() {
        let text = "debugfs: ls -p /o/00\n/2/040755/0/0/.//\n/5/100644/0/0/ab.file/300/\n/6/120777/0/0/cd.file/7/\n\
                    /7/100644/0/0/ef.dirtree/9/\ndebugfs: ls -p /o/01\n/8/100755/0/0/12.file/1/\n";
        assert_eq!(content_objects(text), ["/o/00/ab.file", "/o/01/12.file"]);
    }

    #[test]
    fn the_verity_flag_is_read_for_each_file() {
        let text = "debugfs: stat /a\nInode: 12   Type: regular    Mode:  0644   Flags: 0x180000\nGeneration: 1\n\
                    debugfs: stat /b\nInode: 13   Type: regular    Mode:  0644   Flags: 0x80000\n";
        assert_eq!(verity_flags(text), [true, false]);
    }
}
