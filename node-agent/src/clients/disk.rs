//! Disks and partitions as the kernel shows them in /sys, and the size that an ext4 file system has on one.

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt, MetadataExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use super::host::Host;

/// Sizes in /sys/class/block are in sectors of 512 bytes, whatever the disk's own are (kernel: sysfs-block).
const SECTOR_BYTES: u64 = 512;

/// A disk with its partitions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Its device, as `/dev/vda`.
    pub device: String,
    /// Its size.
    pub bytes: u64,
    /// The size of its blocks, in which its partition table counts.
    pub block_bytes: u64,
    /// Its partitions, in no order.
    pub partitions: Vec<Partition>,
}

/// A partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its device, as `/dev/vda3`.
    pub device: String,
    /// Its name in the partition table.
    pub label: String,
    /// Where it starts.
    pub start_bytes: u64,
    /// Its size.
    pub bytes: u64,
}

impl Disk {
    /// The disk that the file system at `path` lies on; None if it lies on none (as overlays and tmpfs do).
    ///
    /// # Errors
    /// If /sys does not say what it should.
    pub fn below(host: &Host, path: &str) -> Result<Option<Self>> {
        let Ok(found) = fs::metadata(host.path(path)) else { return Ok(None) };
        let (major, minor) = (rustix::fs::major(found.dev()), rustix::fs::minor(found.dev()));
        Self::of_device(&host.path(format!("/sys/dev/block/{major}:{minor}")))
    }

    fn of_device(partition: &Path) -> Result<Option<Self>> {
        let Ok(partition) = partition.canonicalize() else { return Ok(None) };
        let Some(disk) = partition.parent().filter(|_| partition.join("partition").exists()) else { return Ok(None) };
        read_disk(disk).with_context(|| format!("reading {}", disk.display())).map(Some)
    }

    /// The partition named `label`.
    pub fn partition(&self, label: &str) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.label == label)
    }
}

fn read_disk(folder: &Path) -> Result<Disk> {
    let mut partitions = Vec::new();
    for entry in fs::read_dir(folder)? {
        let folder: PathBuf = entry?.path();
        if folder.join("partition").exists() {
            partitions.push(Partition {
                device: device(&folder),
                label: label(&fs::read_to_string(folder.join("uevent"))?),
                start_bytes: sectors(&folder.join("start"))?,
                bytes: sectors(&folder.join("size"))?,
            });
        }
    }
    let block_bytes = number(&folder.join("queue/logical_block_size"))?;
    Ok(Disk { device: device(folder), bytes: sectors(&folder.join("size"))?, block_bytes, partitions })
}

fn device(folder: &Path) -> String {
    // A `!` in /sys stands for the `/` in names such as cciss/c0d0.
    let name = folder.file_name().unwrap_or_default().to_string_lossy().replace('!', "/");
    format!("/dev/{name}")
}

fn label(uevent: &str) -> String {
    uevent.lines().find_map(|line| line.strip_prefix("PARTNAME=")).unwrap_or_default().to_owned()
}

fn sectors(file: &Path) -> Result<u64> {
    Ok(number(file)? * SECTOR_BYTES)
}

fn number(file: &Path) -> Result<u64> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    text.trim().parse().with_context(|| format!("reading {}", file.display()))
}

/// How large the ext4 file system on `device` is, from its superblock (kernel: filesystems/ext4/super.rst).
///
/// # Errors
/// If the device cannot be read, or holds no ext4.
pub fn ext4_bytes(device: &Path) -> Result<u64> {
    let doing = || format!("reading the superblock on {}", device.display());
    let mut superblock = [0; 1024];
    File::open(device).and_then(|file| file.read_exact_at(&mut superblock, 1024)).with_context(doing)?;
    parse_ext4_bytes(&superblock).with_context(doing)
}

fn parse_ext4_bytes(superblock: &[u8; 1024]) -> Result<u64> {
    const MAGIC: u64 = 0xef53;
    const FEATURE_64BIT: u64 = 0x80;
    let number = |at: usize, bytes: usize| -> u64 {
        superblock[at..at + bytes].iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    };
    if number(0x38, 2) != MAGIC {
        bail!("it is no ext4 file system");
    }
    let high = if number(0x60, 4) & FEATURE_64BIT == 0 { 0 } else { number(0x150, 4) };
    let blocks = high << 32 | number(0x4, 4);
    let log_block_kib = u32::try_from(number(0x18, 4)).context("the block size")?;
    blocks.checked_mul(1024_u64.checked_shl(log_block_kib).context("the block size")?).context("the size")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_found_from_one_of_its_partitions() {
        let tree = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("vda/size", "8192\n");
        write("vda/queue/logical_block_size", "4096\n");
        for (name, label, start, size) in [("vda1", "ballast-esp", 64, 1024), ("vda3", "ballast-var", 2048, 4096)] {
            write(&format!("vda/{name}/partition"), "1\n");
            write(&format!("vda/{name}/uevent"), &format!("DEVTYPE=partition\nPARTNAME={label}\n"));
            write(&format!("vda/{name}/start"), &format!("{start}\n"));
            write(&format!("vda/{name}/size"), &format!("{size}\n"));
        }
        let disk = Disk::of_device(&tree.path().join("vda/vda1")).unwrap().unwrap();
        assert_eq!((disk.device.as_str(), disk.bytes, disk.partitions.len()), ("/dev/vda", 8192 * 512, 2));
        assert_eq!(disk.block_bytes, 4096);
        let var = disk.partition("ballast-var").unwrap();
        assert_eq!((var.device.as_str(), var.start_bytes, var.bytes), ("/dev/vda3", 2048 * 512, 4096 * 512));
        assert_eq!(Disk::of_device(&tree.path().join("vda")).unwrap(), None);
        assert_eq!(Disk::of_device(&tree.path().join("none")).unwrap(), None);
    }

    #[test]
    fn the_size_of_ext4_is_read_from_its_superblock() {
        let mut superblock = [0; 1024];
        assert!(parse_ext4_bytes(&superblock).is_err());
        superblock[0x38..0x3a].copy_from_slice(&[0x53, 0xef]);
        superblock[0x4..0x8].copy_from_slice(&1000_u32.to_le_bytes());
        superblock[0x18] = 2;
        superblock[0x150] = 1;
        assert_eq!(parse_ext4_bytes(&superblock).unwrap(), 4_096_000);
        superblock[0x60] = 0x80;
        assert_eq!(parse_ext4_bytes(&superblock).unwrap(), (1000 + (1 << 32)) * 4096);
    }
}
