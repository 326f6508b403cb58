//! The files of the repository and of deployments, as paths.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use ostree_ext::ostree::{Deployment, Sysroot};

use crate::verity;

/// Below the system's root; on a node /ostree leads to /sysroot/ostree, and this is what it leads to.
const REPOSITORY: &str = "ostree/repo/objects";

/// The composefs image of a deployment, as libostree names it.
const IMAGE: &str = ".ostree.cfs";

/// Where ROOT is: on a node it is not /.
fn physical(root: &Path) -> PathBuf {
    if root == Path::new("/") { PathBuf::from("/sysroot") } else { root.to_owned() }
}

/// The file of an object.
pub(crate) fn path(root: &Path, checksum: &str, kind: &str) -> PathBuf {
    let (folder, name) = checksum.split_at(checksum.len().min(2));
    physical(root).join(REPOSITORY).join(folder).join(format!("{name}.{kind}"))
}

/// The composefs image that a deployment is mounted from.
pub(crate) fn composefs(root: &Path, sysroot: &Sysroot, deployment: &Deployment) -> PathBuf {
    physical(root).join(sysroot.deployment_dirpath(deployment)).join(IMAGE)
}

/// All content objects that are regular files, as (checksum, path).
pub(crate) fn contents(root: &Path) -> Result<Vec<(String, PathBuf)>> {
    let mut all = Vec::new();
    for folder in list(&physical(root).join(REPOSITORY))? {
        for object in list(&folder)? {
            let is_content = object.extension().is_some_and(|kind| kind == "file");
            if is_content && fs::symlink_metadata(&object).is_ok_and(|about| about.is_file()) {
                let part = |path: &Path| path.file_stem().map(|name| name.to_string_lossy().into_owned());
                let checksum = part(&folder).unwrap_or_default() + &part(&object).unwrap_or_default();
                all.push((checksum, object));
            }
        }
    }
    Ok(all)
}

/// Switches fs-verity on where libostree has not, for all objects and for that image. Stops at the first file if the file
/// system cannot.
pub(crate) fn seal(root: &Path, image: &Path) -> Result<()> {
    for path in contents(root)?.iter().map(|(_, path)| path.as_path()).chain([image]) {
        if !verity::ensure(path)? {
            break;
        }
    }
    Ok(())
}

fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let doing = || format!("listing {}", folder.display());
    let entries = fs::read_dir(folder).with_context(doing)?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>().with_context(doing)?;
    paths.sort_unstable();
    Ok(paths)
}
