//! fs-verity of the store's files: the kernel holds each read of a file to its digest, and tells the digest at once.

use std::{
    fs::{self, File},
    io::ErrorKind,
    path::Path,
};

use anyhow::{Context, Result};
use ballast_fsverity as verity;

use crate::failure::{Failure, Kind};

/// Switches fs-verity on for the file at `path`, on the disk, and sees to it that its digest is `expected`.
///
/// # Errors
/// If the file system cannot (VAR of an image that is older than artifacts), or the file is another.
pub fn seal(path: &Path, expected: &str) -> Result<()> {
    let doing = || format!("sealing {}", path.display());
    let file = File::open(path).with_context(doing)?;
    file.sync_all().with_context(doing)?;
    enable(&file).and_then(|()| hold(&file, expected)).with_context(doing)
}

/// Whether files in `folder` can be sealed; leaves nothing there.
///
/// # Errors
/// If not, with what to do.
pub fn can_seal(folder: &Path) -> Result<()> {
    let path = folder.join("probe");
    let doing = || format!("sealing files in {}", folder.display());
    fs::write(&path, "probe").with_context(doing)?;
    let sealed = File::open(&path).map_err(anyhow::Error::from).and_then(|file| enable(&file)).with_context(doing);
    fs::remove_file(&path).with_context(doing)?;
    sealed
}

fn enable(file: &File) -> Result<()> {
    match verity::enable(file) {
        Ok(_) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOTTY) => {
            let why = "the file system of /var has no fs-verity: it was made by a release before artifacts; switch it on from another \
                       system (tune2fs -O verity on the unmounted VAR), or install the node anew";
            Err(Failure::new(Kind::Failed, why).into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Opens the file at `path`, which has to be what `expected` says: the descriptor that comes back is the file that was measured, whatever
/// happens to the path.
///
/// # Errors
/// [`Kind::Damaged`] if it is another file, one that is not sealed, or none.
pub fn open(path: &Path, expected: &str) -> Result<File> {
    let doing = || format!("measuring {}", path.display());
    let file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(Failure::new(Kind::Damaged, "it is not there")).with_context(doing);
        }
        opened => opened.with_context(doing)?,
    };
    hold(&file, expected).with_context(doing)?;
    Ok(file)
}

fn hold(file: &File, expected: &str) -> Result<()> {
    let why = match verity::measure(file)? {
        Some(digest) if digest.to_string() == expected => return Ok(()),
        Some(digest) => format!("its fs-verity digest is {digest}, and the signed manifest says {expected}"),
        None => format!("it is not sealed by fs-verity, and the signed manifest says {expected}"),
    };
    Err(Failure::new(Kind::Damaged, why).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_sealed_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kubelet");
        let error = open(&path, "ab").unwrap_err();
        assert_eq!(crate::failure::kind(&error), Kind::Damaged);
        std::fs::write(&path, "a").unwrap();
        let error = open(&path, "ab").unwrap_err();
        assert!(format!("{error:#}").contains("it is not sealed"), "{error:#}");
    }
}
