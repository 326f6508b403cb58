//! The ROOT file system of a raw disk, looked at and damaged from the host with debugfs: no mount, no privilege.

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

/// ROOT of one raw disk.
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

    /// Gives the partition another label, so that nothing finds it.
    ///
    /// # Errors
    /// When sfdisk cannot.
    pub fn relabel(&self, label: &str) -> Result<()> {
        let (disk, number) = (self.disk.display().to_string(), self.partition.number.to_string());
        self.tools
            .output("sfdisk", ["--no-reread", "--no-tell-kernel", "--part-label", &disk, &number, label])
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

    /// The names in the folder `path`.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn list(&self, path: &str) -> Result<Vec<String>> {
        let listing = self.debugfs(false, &format!("ls -p {path}"))?;
        // "/INODE/MODE/UID/GID/NAME/SIZE/"
        let names = listing.lines().filter_map(|line| line.split('/').nth(5));
        Ok(names.filter(|name| !matches!(*name, "" | "." | "..")).map(str::to_owned).collect())
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
        let script = tempfile::NamedTempFile::new().context("making a script for debugfs")?;
        let lines: String = paths.iter().map(|path| format!("stat {path}\n")).collect();
        std::fs::write(&script, lines).context("writing a script for debugfs")?;
        let mut command = self.tools.command("debugfs");
        command.arg("-f").arg(script.path()).arg(self.device());
        let text = tools::output("debugfs", command.env("DEBUGFS_PAGER", "cat"))?;
        let flags = verity_flags(&String::from_utf8_lossy(&text));
        if flags.len() != paths.len() {
            bail!("debugfs told the flags of {} files, not of {}", flags.len(), paths.len());
        }
        Ok(flags)
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
        let complaints: Vec<_> = complained.lines().filter(|line| !line.starts_with("debugfs ")).collect();
        if !done.status.success() || !complaints.is_empty() {
            bail!("debugfs could not {request}: {}", complaints.join("; "));
        }
        Ok(said.into_owned())
    }

    /// libext2fs finds a file system inside a file by this suffix.
    fn device(&self) -> String {
        format!("{}?offset={}", self.disk.display(), self.partition.offset)
    }
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
    fn the_verity_flag_is_read_for_each_file() {
        let text = "debugfs: stat /a\nInode: 12   Type: regular    Mode:  0644   Flags: 0x180000\nGeneration: 1\n\
                    debugfs: stat /b\nInode: 13   Type: regular    Mode:  0644   Flags: 0x80000\n";
        assert_eq!(verity_flags(text), [true, false]);
    }
}
