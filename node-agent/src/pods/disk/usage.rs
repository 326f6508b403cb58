//! Measures how much of the disk pods use.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, Metadata},
    os::unix::fs::MetadataExt,
    path::Path,
};

use anyhow::{Context, Result};

use super::model::{Owner, Usage};
use crate::{
    clients::{cri::Cri, host::Host},
    pods::sandbox,
};

/// stat(2) counts in these, whatever the file system's own.
const BLOCK_BYTES: u64 = 512;

/// What each of `owners` takes.
///
/// # Errors
/// If the runtime does not answer.
pub(super) async fn measure(host: Host, cri: Cri, owners: Vec<Owner>) -> Result<BTreeMap<String, Usage>> {
    let managed = BTreeMap::from([(sandbox::MANAGED.0.to_owned(), sandbox::MANAGED.1.to_owned())]);
    let layers = cri.writable_layers(managed).await?;
    let files = move || owners.into_iter().map(|owner| (owner.uid.clone(), files(&host, &owner))).collect();
    let mut usage: BTreeMap<String, Usage> =
        tokio::task::spawn_blocking(files).await.context("measuring what pods take of the disk")?;
    for layer in layers {
        if let Some(usage) = usage.get_mut(&layer.pod_uid) {
            *usage.containers.entry(layer.container).or_default() += layer.bytes;
        }
    }
    Ok(usage)
}

/// What a pod has in files: its emptyDirs, and the logs of its containers.
fn files(host: &Host, owner: &Owner) -> Usage {
    Usage {
        volumes: folders(&host.path(sandbox::volumes_folder(&owner.uid))),
        containers: folders(&host.path(sandbox::log_folder_of(&owner.key, &owner.uid))),
    }
}

/// What is in each folder of `folder`.
fn folders(folder: &Path) -> BTreeMap<String, u64> {
    let Ok(own) = fs::symlink_metadata(folder) else { return BTreeMap::new() };
    let mut seen = HashSet::new();
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        // Another file system is one in memory, with a limit of its own.
        let Ok(found) = entry.metadata() else { continue };
        if found.is_dir() && found.dev() == own.dev() {
            let name = entry.file_name().to_string_lossy().into_owned();
            all.insert(name, inside(&entry.path(), own.dev(), &mut seen));
        }
    }
    all
}

/// What all below `folder` takes; a file that has several names counts once, what goes away meanwhile does not, and no link is followed.
fn inside(folder: &Path, device: u64, seen: &mut HashSet<u64>) -> u64 {
    let mut bytes = 0_u64;
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let Ok(found) = entry.metadata() else { continue };
            if found.dev() != device || (found.nlink() > 1 && !found.is_dir() && !seen.insert(found.ino())) {
                continue;
            }
            bytes += taken(&found);
            if found.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    bytes
}

fn taken(found: &Metadata) -> u64 {
    found.blocks().saturating_mul(BLOCK_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_is_measured_links_are_not_followed_and_names_count_once() {
        let tree = tempfile::tempdir().unwrap();
        let big = vec![7_u8; 256 << 10];
        for folder in ["a/deep", "b", "elsewhere"] {
            fs::create_dir_all(tree.path().join("v").join(folder)).unwrap();
        }
        fs::write(tree.path().join("v/a/deep/file"), &big).unwrap();
        fs::hard_link(tree.path().join("v/a/deep/file"), tree.path().join("v/a/again")).unwrap();
        fs::write(tree.path().join("outside"), &big).unwrap();
        std::os::unix::fs::symlink(tree.path().join("outside"), tree.path().join("v/b/link")).unwrap();
        std::os::unix::fs::symlink(tree.path(), tree.path().join("v/b/up")).unwrap();
        let found = folders(&tree.path().join("v"));
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "b", "elsewhere"]);
        assert!((256 << 10..300 << 10).contains(&found["a"]), "{found:?}");
        assert!(found["b"] < 64 << 10, "{found:?}");
        assert!(folders(&tree.path().join("none")).is_empty());
    }
}
