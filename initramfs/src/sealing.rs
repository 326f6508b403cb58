//! Switches fs-verity on for everything that composefs reads from ROOT.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context, Result, anyhow};
use ballast_fsverity as verity;

use crate::composefs::IMAGE_NAME;
use crate::deployment::DEPLOYMENTS;

const OBJECTS: &str = "ostree/repo/objects";

/// Seals all content objects and all deployments' images below ROOT mounted at `root`, on all processors. Returns how
/// many files have fs-verity now.
///
/// # Errors
/// Which file could not be sealed, and why.
pub fn seal(root: &Path) -> Result<usize> {
    let files = files(root)?;
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let share = files.len().div_ceil(workers).max(1);
    thread::scope(|scope| {
        let workers: Vec<_> = files.chunks(share).map(|files| scope.spawn(|| seal_all(files))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| anyhow!("a worker panicked"))?)
    })?;
    Ok(files.len())
}

fn seal_all(files: &[PathBuf]) -> Result<()> {
    for path in files {
        let sealed = File::open(path).and_then(|file| Ok(verity::enable(file)?));
        sealed.with_context(|| format!("sealing {}", path.display()))?;
    }
    Ok(())
}

/// The regular content objects (a symbolic link is an object too, but has no content), and the images.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for folder in list(&root.join(OBJECTS))? {
        for object in list(&folder)? {
            if object.extension().is_some_and(|kind| kind == "file") && fs::symlink_metadata(&object)?.is_file() {
                files.push(object);
            }
        }
    }
    let deployments = list(&root.join(DEPLOYMENTS))?;
    files.extend(deployments.into_iter().map(|folder| folder.join(IMAGE_NAME)).filter(|path| path.exists()));
    Ok(files)
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort_unstable();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed() {
        let root = std::env::temp_dir().join(format!("ballast-initramfs-sealing-{}", std::process::id()));
        let objects = root.join(OBJECTS).join("ab");
        let deployment = root.join(DEPLOYMENTS).join("x.0");
        fs::create_dir_all(&objects).unwrap();
        fs::create_dir_all(&deployment).unwrap();
        for path in [objects.join("1.file"), objects.join("2.dirtree"), deployment.join(IMAGE_NAME)] {
            fs::write(path, "content").unwrap();
        }
        fs::write(deployment.with_extension("0.origin"), "").unwrap();
        std::os::unix::fs::symlink("1.file", objects.join("3.file")).unwrap();

        assert_eq!(files(&root).unwrap(), [objects.join("1.file"), deployment.join(IMAGE_NAME)]);
        fs::remove_dir_all(&root).unwrap();
    }
}
