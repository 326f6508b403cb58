//! Partitions, how full they are, and who uses /var.

use std::{
    collections::HashSet,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::clients::{exec, host::Host, space};

const LSBLK: &str = "/usr/bin/lsblk";
const DEADLINE: Duration = Duration::from_secs(10);

/// Counting files ends then, and says so: a disk with millions of them is busy enough.
const COUNTING: Duration = Duration::from_secs(15);

/// A block of stat(2).
const BLOCK: u64 = 512;

/// Whose folders are counted: what they are, and where.
const USERS: [(&str, &str); 9] = [
    ("images and containers", "/var/lib/containerd"),
    ("volumes of pods", "/var/lib/ballast/volumes"),
    ("the agent", "/var/lib/ballast"),
    ("the kubelet", "/var/lib/kubelet"),
    ("logs of pods", "/var/log/pods"),
    ("the journal", "/var/log/journal"),
    ("kernel's last words", "/var/lib/systemd/pstore"),
    ("other logs", "/var/log"),
    ("everything else", "/var"),
];

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disks {
    /// Disks and partitions.
    pub blocks: Vec<Block>,
    /// File systems, and how full they are.
    pub file_systems: Vec<FileSystem>,
    /// Who uses /var; what lies in another one's folder is counted there.
    pub var: Vec<User>,
    /// What could not be read.
    pub problems: Vec<String>,
}

/// A disk or a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// As in /dev.
    pub name: String,
    /// `disk`, `part`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// How large it is.
    #[serde(rename = "size")]
    pub size_bytes: u64,
    /// What it is called in the partition table.
    #[serde(rename = "partlabel", default)]
    pub label: Option<String>,
    /// What it has in it.
    #[serde(rename = "fstype", default)]
    pub file_system: Option<String>,
    /// What it was sold as.
    #[serde(default)]
    pub model: Option<String>,
}

/// A file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSystem {
    /// Where it is mounted.
    pub mounted_at: String,
    /// How large it is.
    pub bytes: u64,
    /// What is free.
    pub available_bytes: u64,
    /// How many files it takes.
    pub inodes: u64,
    /// How many more it takes.
    pub available_inodes: u64,
}

/// Somebody who uses /var.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Who.
    pub name: String,
    /// Where.
    pub folder: String,
    /// How much.
    pub bytes: u64,
    /// How many files and folders.
    pub files: u64,
    /// Whether there was time to count them all.
    pub is_complete: bool,
}

#[derive(Deserialize)]
struct Blocks {
    blockdevices: Vec<Block>,
}

pub(super) async fn inspect(host: &Host) -> Result<Disks> {
    let mut found = Disks::default();
    let arguments = ["--json", "--bytes", "--list", "--output", "NAME,TYPE,SIZE,PARTLABEL,FSTYPE,MODEL"];
    match exec::run(&host.path(LSBLK).display().to_string(), arguments, DEADLINE).await.and_then(|text| parse(&text)) {
        Ok(blocks) => found.blocks = blocks,
        Err(error) => found.problems.push(format!("{error:#}")),
    }
    for path in ["/", "/var", "/efi", "/run", "/tmp"] {
        match host.read("looking how full a file system is", move |host| space::room(host, path)).await {
            Ok(room) => found.file_systems.push(FileSystem {
                mounted_at: path.to_owned(),
                bytes: room.bytes,
                available_bytes: room.available_bytes,
                inodes: room.inodes,
                available_inodes: room.available_inodes,
            }),
            Err(error) => found.problems.push(format!("{error:#}")),
        }
    }
    found.var = host.read("counting files", |host| Ok(count(host, Instant::now() + COUNTING))).await?;
    found.var.retain(|user| user.files > 0);
    Ok(found)
}

fn parse(text: &str) -> Result<Vec<Block>> {
    let blocks: Blocks = serde_json::from_str(text).context("reading what lsblk says")?;
    Ok(blocks.blockdevices)
}

/// Each folder without those of the others; on its file system alone, and what has several names once.
fn count(host: &Host, until: Instant) -> Vec<User> {
    let folders: Vec<PathBuf> = USERS.iter().map(|(_, folder)| host.path(folder)).collect();
    let mut counted = HashSet::new();
    let mut users = Vec::new();
    for ((name, folder), root) in USERS.iter().zip(&folders) {
        let mut user =
            User { name: (*name).to_owned(), folder: (*folder).to_owned(), bytes: 0, files: 0, is_complete: true };
        let others = |path: &Path| path != root && folders.iter().any(|other| other == path);
        let device = fs::symlink_metadata(root).map(|metadata| metadata.dev()).ok();
        let mut left = vec![root.clone()];
        while let Some(path) = left.pop() {
            if Instant::now() >= until {
                user.is_complete = false;
                break;
            }
            // It may be gone by now.
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            if Some(metadata.dev()) != device || others(&path) {
                continue;
            }
            if metadata.is_dir() {
                left.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
            } else if metadata.nlink() > 1 && !counted.insert((metadata.dev(), metadata.ino())) {
                continue;
            }
            user.bytes += metadata.blocks() * BLOCK;
            user.files += 1;
        }
        users.push(user);
    }
    users
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_is_counted_once() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        for (path, kilobytes) in [
            ("/var/lib/containerd/a/b", 100),
            ("/var/lib/ballast/volumes/v", 200),
            ("/var/lib/ballast/s", 40),
            ("/var/log/x", 20),
        ] {
            fs::create_dir_all(host.path(path).parent().unwrap()).unwrap();
            fs::write(host.path(path), vec![b'x'; kilobytes << 10]).unwrap();
        }
        fs::hard_link(host.path("/var/lib/containerd/a/b"), host.path("/var/lib/containerd/a/c")).unwrap();
        let users = count(&host, Instant::now() + COUNTING);
        let kilobytes = |folder: &str| users.iter().find(|user| user.folder == folder).unwrap().bytes >> 10;
        for (folder, least, most) in [
            ("/var/lib/containerd", 100, 130),
            ("/var/lib/ballast/volumes", 200, 230),
            ("/var/lib/ballast", 40, 70),
            ("/var/log", 20, 40),
            ("/var", 0, 40),
        ] {
            assert!((least..=most).contains(&kilobytes(folder)), "{folder}: {users:#?}");
        }
        assert!(users.iter().all(|user| user.is_complete));
        assert!(count(&host, Instant::now()).iter().all(|user| !user.is_complete));
    }

    #[test]
    fn what_lsblk_says_is_read() {
        let text = r#"{"blockdevices":[{"name":"vda","type":"disk","size":4294967296,"partlabel":null,"fstype":null,"model":"QEMU"},
            {"name":"vda4","type":"part","size":1048576,"partlabel":"var","fstype":"ext4","model":null}]}"#;
        let blocks = parse(text).unwrap();
        assert_eq!((blocks[1].label.as_deref(), blocks[1].size_bytes), (Some("var"), 1 << 20));
        assert!(parse("?").is_err());
    }
}
