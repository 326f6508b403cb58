//! Changes the store: one at a time, and a version is there as a whole or not at all.

use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File},
    io::{ErrorKind, Read},
    os::unix::fs::DirBuilderExt,
    path::Path,
};

use anyhow::{Context, Result, ensure};
use ballast_types::Digest;
use rustix::fs::{FlockOperation, flock};

use crate::{
    client::Proxy,
    failure::{Failure, Kind},
    measure,
    model::Artifact,
    observe, plan, unpack,
};

/// What is not complete yet; one that a power cut left is removed by the next fetch.
const FRESH: &str = ".new";

/// What was fetched, or was there.
#[derive(Debug)]
pub struct Fetched {
    /// The digest of its manifest.
    pub digest: Digest,
    /// What it is.
    pub artifact: Artifact,
    /// How many bytes were fetched.
    pub bytes: u64,
}

/// Holds the store until it is dropped.
#[derive(Debug)]
pub struct Store<'a> {
    folder: &'a Path,
    _lock: File,
}

impl<'a> Store<'a> {
    /// Opens the store in `folder`, which is made if need be, for one who changes it. Waits for another one to end.
    ///
    /// # Errors
    /// If the folder cannot be made or locked.
    pub fn open(folder: &'a Path) -> Result<Self> {
        let doing = || format!("opening the store {}", folder.display());
        DirBuilder::new().recursive(true).mode(0o755).create(folder).with_context(doing)?;
        let lock = File::open(folder).with_context(doing)?;
        flock(&lock, FlockOperation::LockExclusive).with_context(doing)?;
        Ok(Self { folder, _lock: lock })
    }

    /// Fetches the artifact at `image` (`docker://…`, `oci:FOLDER`) if it is not here, whole, already. It has to be one for `name`.
    /// `progress` gets how many bytes of how many came.
    ///
    /// # Errors
    /// As the proxy says; if the image is another artifact than is asked for, or cannot be unpacked and sealed.
    pub fn fetch(&self, proxy: &Proxy, image: &str, name: &str, mut progress: impl FnMut(u64, u64)) -> Result<Fetched> {
        let opened = proxy.open(image)?;
        let artifact = Artifact::parse(&opened.manifest)
            .map_err(|error| Failure::new(Kind::NotAnArtifact, format!("{error:#}")))?;
        if artifact.name != name {
            let why = format!("{image} is the artifact {:?}, expected {name:?}", artifact.name);
            return Err(Failure::new(Kind::NotAnArtifact, why).into());
        }
        if !artifact.files.contains_key(name) {
            let why = format!("{image} has no file {name}, which is what is started");
            return Err(Failure::new(Kind::NotAnArtifact, why).into());
        }
        let digest = opened.digest.clone();
        if observe::check(self.folder, &digest).is_ok() {
            return Ok(Fetched { digest, artifact, bytes: 0 });
        }
        let fresh = self.folder.join(FRESH);
        remove(&fresh)?;
        let files = fresh.join("files");
        DirBuilder::new().recursive(true).mode(0o755).create(&files).context("making room in the store")?;
        // Before anything is fetched for it: without that it would be fetched again and again.
        measure::can_seal(&fresh)?;
        self.has_room(&artifact)?;
        let total: u64 = artifact.layers.iter().map(|layer| layer.bytes).sum();
        let mut found = BTreeSet::new();
        let mut fetched = 0;
        for layer in &artifact.layers {
            proxy.blob(&opened, &layer.digest, layer.bytes, |content| {
                let mut counted = Counted {
                    content,
                    report: &mut |bytes| {
                        fetched += bytes;
                        progress(fetched, total);
                    },
                };
                unpack::unpack(&mut counted, &artifact, &files, &mut found)
            })?;
        }
        unpack::seal(&artifact, &files, &found)?;
        fs::write(fresh.join("manifest.json"), &opened.manifest).context("keeping the manifest")?;
        self.take(&fresh, &digest)?;
        // As it lies here, the manifest among it: what is started later is held to the same.
        observe::check(self.folder, &digest)?;
        Ok(Fetched { digest, artifact, bytes: fetched })
    }

    /// Removes all versions but those of `keep`, and what was begun; returns which.
    ///
    /// # Errors
    /// If something cannot be removed.
    pub fn remove(&self, keep: &[Digest]) -> Result<Vec<Digest>> {
        let gone = plan::surplus(&observe::present(self.folder)?, keep);
        remove(&self.folder.join(FRESH))?;
        for digest in &gone {
            remove(&observe::folder(self.folder, digest)?)?;
        }
        Ok(gone)
    }

    fn has_room(&self, artifact: &Artifact) -> Result<()> {
        let room = rustix::fs::statvfs(self.folder).context("looking for room in the store")?;
        let free = room.f_bavail.saturating_mul(room.f_frsize);
        let needed = artifact.bytes();
        ensure!(
            free > needed,
            Failure::new(Kind::NoSpace, format!("the artifact takes {needed} bytes, and {free} are free on /var"))
        );
        Ok(())
    }

    /// What is complete gets its name.
    fn take(&self, fresh: &Path, digest: &Digest) -> Result<()> {
        let doing = || format!("taking {digest} into the store");
        let place = observe::folder(self.folder, digest)?;
        remove(&place)?;
        for path in [&fresh.join("manifest.json"), &fresh.join("files"), fresh] {
            File::open(path).and_then(|file| file.sync_all()).with_context(doing)?;
        }
        fs::rename(fresh, place).with_context(doing)?;
        File::open(self.folder).and_then(|folder| folder.sync_all()).with_context(doing)
    }
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", folder.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Counts what is read.
struct Counted<'a> {
    content: &'a mut dyn Read,
    report: &'a mut dyn FnMut(u64),
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.content.read(buffer)?;
        (self.report)(bytes as u64);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_keeps_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let digest = |byte: &str| format!("sha256:{}", byte.repeat(32)).parse::<Digest>().unwrap();
        for name in [digest("aa").hex(), digest("bb").hex(), FRESH, "notes"] {
            fs::create_dir_all(folder.path().join(name).join("files")).unwrap();
        }
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.remove(&[digest("bb")]).unwrap(), [digest("aa")]);
        assert_eq!(observe::present(folder.path()).unwrap(), [digest("bb")]);
        assert!(!folder.path().join(FRESH).exists() && folder.path().join("notes").exists());
    }
}
