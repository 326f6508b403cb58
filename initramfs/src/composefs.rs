//! The deployment's tree as /: EROFS straight from its image, overlayfs over the object store.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use ballast_fsverity::{self as verity, Digest};
use rustix::mount::MountFlags;

use crate::mounts::{self, IMAGE, NEW, ROOT};

/// The image's name in a deployment's folder.
pub const IMAGE_NAME: &str = ".ostree.cfs";

/// Checks the image of the deployment at `deployment`, and mounts the tree that it describes on `NEW`. Returns whether
/// overlayfs refuses files without fs-verity: it does if the image itself is sealed.
///
/// # Errors
/// If the image is not the one that `expected` names, or cannot be mounted.
pub fn mount(deployment: &Path, expected: Option<&Digest>) -> Result<bool> {
    let path = deployment.join(IMAGE_NAME);
    let image = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
    let actual = verity::measure(&image).with_context(|| format!("measuring {}", path.display()))?;
    let verity = check(expected, actual.as_ref()).with_context(|| format!("checking {}", path.display()))?;

    mounts::filesystem("erofs", &path, Path::new(IMAGE), MountFlags::RDONLY, "")?;
    mounts::filesystem("overlay", Path::new("composefs"), Path::new(NEW), MountFlags::RDONLY, &options(verity))?;
    mounts::detach(Path::new(IMAGE))?;
    Ok(verity)
}

/// overlayfs' options: the objects are a data-only layer (`::`), reached by the redirects in the image.
fn options(verity: bool) -> String {
    let verity = if verity { ",verity=require" } else { "" };
    format!("lowerdir={IMAGE}::{ROOT}/ostree/repo/objects,metacopy=on,redirect_dir=on{verity}")
}

fn check(expected: Option<&Digest>, actual: Option<&Digest>) -> Result<bool> {
    match (expected, actual) {
        (Some(expected), Some(actual)) if expected != actual => {
            bail!("its fs-verity digest is {actual}, not {expected} as the command line says")
        }
        (Some(_), None) => bail!("it has no fs-verity, though the command line gives a digest"),
        (_, actual) => Ok(actual.is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_must_be_the_one_named() {
        let (a, b): (Digest, Digest) = ("a".repeat(64).parse().unwrap(), "b".repeat(64).parse().unwrap());
        for (expected, actual, verity) in [
            (None, None, Some(false)),
            (None, Some(&a), Some(true)),
            (Some(&a), Some(&a), Some(true)),
            (Some(&a), Some(&b), None),
            (Some(&a), None, None),
        ] {
            assert_eq!(check(expected, actual).ok(), verity, "{expected:?} {actual:?}");
        }
    }

    #[test]
    fn overlay_options() {
        let base = "lowerdir=/image::/root/ostree/repo/objects,metacopy=on,redirect_dir=on";
        assert_eq!(options(false), base);
        assert_eq!(options(true), format!("{base},verity=require"));
    }
}
