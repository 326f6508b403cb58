//! fs-verity of objects and composefs images: /init has overlayfs refuse what is without it.

use std::{
    fs::File,
    io::{Seek, SeekFrom},
    path::Path,
};

use anyhow::{Context, Result};
use ballast_fsverity as verity;

/// Switches fs-verity on for a file that lacks it. False if the file system cannot: on build hosts, where `seal` does it.
pub(crate) fn ensure(path: &Path) -> Result<bool> {
    let doing = || format!("switching fs-verity on for {}", path.display());
    let file = File::open(path).with_context(doing)?;
    if verity::measure(&file).with_context(doing)?.is_some() {
        return Ok(true);
    }
    match verity::enable(&file) {
        Ok(_) => Ok(true),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOTTY) => Ok(false),
        Err(error) => Err(error).with_context(doing),
    }
}

/// Whether the kernel holds the file to a digest.
pub(crate) fn is_on(path: &Path) -> Result<bool> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    Ok(verity::measure(&file)?.is_some())
}

/// The digest of a file: the kernel's if it keeps one, else as the kernel would make it.
pub(crate) fn digest(path: &Path) -> Result<String> {
    let doing = || format!("measuring {}", path.display());
    let mut file = File::open(path).with_context(doing)?;
    if let Some(digest) = verity::measure(&file).with_context(doing)? {
        return Ok(digest.to_string());
    }
    file.seek(SeekFrom::Start(0)).with_context(doing)?;
    Ok(verity::compute(file).with_context(doing)?.0.to_string())
}
