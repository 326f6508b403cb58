//! What a membership keeps on the machine: its folder, for root alone. Each file is whole or not there, whatever happens.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Read},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use tokio::task::spawn_blocking;

use crate::model::Resolved;

/// No file of ours is larger.
const MAX_BYTES: u64 = 1024 * 1024;

/// A file that a membership keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The client certificate with its chain, and its key: in one file, so that no power cut parts them.
    Client,
    /// The key for which a certificate was asked, before it is there.
    Pending,
    /// The certificate and key that the node's kubelet shows.
    Serving,
    /// As [`Self::Pending`], for that one.
    PendingServing,
    /// The cluster's CA, if it was found by its hash.
    Authority,
    /// What the image that its NodeOS asks for was found to mean.
    Resolved,
}

impl Kept {
    /// Its file's name in the folder.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client.pem",
            Self::Pending => "pending.key",
            Self::Serving => "serving.pem",
            Self::PendingServing => "serving.key",
            Self::Authority => "ca.pem",
            Self::Resolved => "resolved.json",
        }
    }
}

/// The folder.
#[derive(Debug, Clone)]
pub struct Store(PathBuf);

impl Store {
    /// Keeps files in `folder`, which is made when the first is written.
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// What is kept, if it is.
    pub async fn read(&self, kept: Kept) -> Result<Option<String>, String> {
        let path = self.0.join(kept.name());
        blocking(move || match read(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            // The folder is none; what is written next sets that aside.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
            // A disk that fails in passing has damaged nothing, and for another certificate a token is needed.
            Err(error)
                if kept == Kept::Client
                    && !matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::IsADirectory) =>
            {
                Err(format!("{} cannot be read: {error}", path.display()))
            }
            Err(error) => {
                let kept = ballast_files::set_aside(&path).map_err(|failed| {
                    format!("{} cannot be read ({error}) and not be set aside: {failed:#}", path.display())
                })?;
                log::error!(
                    "{} was damaged ({error}) and is kept as {}; another is asked for",
                    path.display(),
                    kept.display()
                );
                Ok(None)
            }
        })
        .await
    }

    /// Keeps `text`, on the disk when this returns.
    pub async fn write(&self, kept: Kept, text: String) -> Result<(), String> {
        let (folder, name) = (self.0.clone(), kept.name());
        blocking(move || {
            write(&folder, name, &text)
                .map_err(|error| format!("{}/{name} cannot be written: {error:#}", folder.display()))
        })
        .await
    }

    /// What the image was found to mean. What cannot be read is said, and found anew.
    pub async fn resolved(&self) -> Option<Resolved> {
        let read = self.read(Kept::Resolved).await.and_then(|text| {
            let parse = |text: String| serde_json::from_str(&text).map_err(|error| error.to_string());
            text.map(parse).transpose()
        });
        read.unwrap_or_else(|error| {
            log::warn!("{}/{} is not used: {error}", self.0.display(), Kept::Resolved.name());
            None
        })
    }

    /// Keeps what the image was found to mean.
    pub async fn keep_resolved(&self, resolved: &Resolved) -> Result<(), String> {
        let text = serde_json::to_string(resolved).map_err(|error| error.to_string())?;
        self.write(Kept::Resolved, text).await
    }

    /// Keeps it no more.
    pub async fn remove(&self, kept: Kept) -> Result<(), String> {
        let path = self.0.join(kept.name());
        blocking(move || {
            ballast_files::remove(&path).map_err(|error| format!("{} cannot be removed: {error:#}", path.display()))
        })
        .await
    }
}

/// A disk may take its time, which the loop has not.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    spawn_blocking(work).await.map_err(|error| format!("working with a file failed: {error}"))?
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

fn write(folder: &Path, name: &str, text: &str) -> anyhow::Result<()> {
    if fs::symlink_metadata(folder).is_ok_and(|found| !found.is_dir()) {
        ballast_files::set_aside(folder)?;
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    ballast_files::write(&folder.join(name), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_kept_is_for_root_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(folder.path().join("clusters/prod"));
        assert_eq!(store.read(Kept::Client).await, Ok(None));
        for text in ["first", "second"] {
            store.write(Kept::Client, text.to_owned()).await.unwrap();
            assert_eq!(store.read(Kept::Client).await, Ok(Some(text.to_owned())));
        }
        let mode = |path: &str| fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("clusters/prod"), mode("clusters/prod/client.pem")), (0o700, 0o600));
        assert_eq!(fs::read_dir(folder.path().join("clusters/prod")).unwrap().count(), 1);
        store.remove(Kept::Client).await.unwrap();
        store.remove(Kept::Client).await.unwrap();
        assert_eq!(store.read(Kept::Client).await, Ok(None));
        assert_eq!(store.resolved().await, None);
        let resolved = Resolved { image: "r.example/os:1".to_owned(), digest: "sha256:00".to_owned() };
        store.keep_resolved(&resolved).await.unwrap();
        assert_eq!(store.resolved().await, Some(resolved));
        store.write(Kept::Resolved, "\0\0".to_owned()).await.unwrap();
        assert_eq!(store.resolved().await, None, "a damaged file costs itself");
    }

    #[tokio::test]
    async fn what_is_damaged_is_set_aside_and_made_anew() {
        for folder_in_its_place in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::new(folder.path().join("prod"));
            for kept in [Kept::Client, Kept::Pending, Kept::Authority] {
                let path = folder.path().join("prod").join(kept.name());
                if folder_in_its_place {
                    fs::create_dir_all(&path).unwrap();
                    fs::create_dir_all(path.with_file_name(format!("{}.part", kept.name()))).unwrap();
                } else {
                    fs::create_dir_all(folder.path().join("prod")).unwrap();
                    fs::write(&path, b"\xff\xfe\0").unwrap();
                }
                assert_eq!(store.read(kept).await, Ok(None));
                assert!(path.with_file_name(format!("{}.damaged-1", kept.name())).exists());
                store.write(kept, "anew".to_owned()).await.unwrap();
                assert_eq!(store.read(kept).await, Ok(Some("anew".to_owned())));
            }
        }
        // A disk that fails as it is read, as this file does.
        let folder = tempfile::tempdir().unwrap();
        let client = folder.path().join(Kept::Client.name());
        std::os::unix::fs::symlink("/proc/self/mem", &client).unwrap();
        let error = Store::new(folder.path().to_owned()).read(Kept::Client).await.unwrap_err();
        assert!(error.contains("client.pem cannot be read: Input/output error"), "{error}");
        assert!(fs::symlink_metadata(&client).is_ok() && fs::read_dir(folder.path()).unwrap().count() == 1);

        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("prod"), "no folder").unwrap();
        let store = Store::new(folder.path().join("prod"));
        assert_eq!(store.read(Kept::Client).await, Ok(None));
        store.write(Kept::Client, "anew".to_owned()).await.unwrap();
        assert_eq!(store.read(Kept::Client).await, Ok(Some("anew".to_owned())));
    }
}
