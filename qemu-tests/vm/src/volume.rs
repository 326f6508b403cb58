//! Volumes with user-data, made as platforms make them: NoCloud's (label `CIDATA`) and OpenStack's (`config-2`), as a CD or a disk.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::disk::Bus;
use crate::qemu::machine::{Drive, SECTOR_BYTES};
use crate::tools::Tools;

/// What a file system for a few files is made with, in KiB: less than this, and mkfs.vfat warns.
const VFAT_KIB: &str = "4096";

/// What is on a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// ISO 9660 with Rock Ridge and Joliet, as `genisoimage -R -J` makes it
    Iso,
    /// FAT, as `mkfs.vfat` makes it
    Vfat,
}

/// A volume, ready to be plugged in.
#[derive(Clone, Debug)]
pub struct Volume {
    file: PathBuf,
}

impl Volume {
    /// Makes the volume `label` in `scratch`, with `files`: paths, which may have folders, and what they hold.
    ///
    /// # Errors
    /// When a program of the tools tree is missing or fails.
    pub fn make(tools: &Tools, scratch: &Path, on: FileSystem, label: &str, files: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("volume-").tempdir_in(scratch).context("making a folder")?.keep();
        let tree = folder.join("tree");
        for (path, content) in files {
            let path = tree.join(path);
            let parent = path.parent().context("a file without a folder")?;
            std::fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
            std::fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
        }
        let file = folder.join("volume.img");
        match on {
            FileSystem::Iso => iso(tools, &file, label, &tree),
            FileSystem::Vfat => vfat(tools, &file, label, &tree),
        }
        .with_context(|| format!("making the volume {label}"))?;
        Ok(Self { file })
    }

    /// NoCloud's: `user-data` and `meta-data`.
    ///
    /// # Errors
    /// As [`Volume::make`].
    pub fn nocloud(tools: &Tools, scratch: &Path, on: FileSystem, user_data: &str, hostname: &str) -> Result<Self> {
        let label = if on == FileSystem::Iso { "cidata" } else { "CIDATA" };
        let meta_data = format!("instance-id: i-1\nlocal-hostname: {hostname}\n");
        Self::make(tools, scratch, on, label, &[("user-data", user_data), ("meta-data", &meta_data)])
    }

    /// OpenStack's: `user_data` and `meta_data.json`, of the one version that is asked for.
    ///
    /// # Errors
    /// As [`Volume::make`].
    pub fn config_drive(
        tools: &Tools,
        scratch: &Path,
        on: FileSystem,
        user_data: &str,
        hostname: &str,
    ) -> Result<Self> {
        let meta_data = serde_json::json!({"uuid": "d8e02d56", "hostname": hostname, "name": "node"}).to_string();
        let folder = "openstack/latest";
        let files = [(format!("{folder}/user_data"), user_data), (format!("{folder}/meta_data.json"), &meta_data)];
        let files = files.each_ref().map(|(path, content)| (path.as_str(), *content));
        Self::make(tools, scratch, on, "config-2", &files)
    }

    /// Where it is on the host.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Plugged into `bus`, to be read only.
    pub fn drive(&self, bus: Bus) -> Drive {
        Drive { file: self.file.clone(), format: "raw", bus, read_only: true, sector_bytes: SECTOR_BYTES, log: None }
    }
}

fn iso(tools: &Tools, file: &Path, label: &str, tree: &Path) -> Result<()> {
    let mut command = tools.command("xorriso");
    command.args(["-as", "mkisofs", "-quiet", "-V", label, "-R", "-J", "-o"]).arg(file).arg(tree);
    crate::tools::output("xorriso", &mut command).map(drop)
}

fn vfat(tools: &Tools, file: &Path, label: &str, tree: &Path) -> Result<()> {
    let path = file.display().to_string();
    tools.output("mkfs.vfat", ["-n", label, "-C", &path, VFAT_KIB])?;
    for entry in std::fs::read_dir(tree).with_context(|| format!("listing {}", tree.display()))? {
        let entry = entry.with_context(|| format!("listing {}", tree.display()))?.path().display().to_string();
        tools.output("mcopy", ["-s", "-i", &path, &entry, "::/"])?;
    }
    Ok(())
}
