//! A blob as it comes, checked on the way: who gets all of its pieces has what the digest names.

use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
};

use anyhow::{Context, Error, Result, bail};
use bytes::{Bytes, BytesMut};
use rustix::fs::{MemfdFlags, memfd_create};

use super::{layout::BlobFile, registry::download::Download};
use crate::{
    content::digest::{Digest, Hasher},
    failure::{Failed, Kind},
};

pub(crate) struct Blob {
    content: Content,
    digest: Digest,
    size: u64,
    seen: u64,
    /// Gone when the end has been checked.
    hasher: Option<Hasher>,
    /// The last piece that came. It is given out when the next comes, or when the whole is checked: of a wrong blob,
    /// never all is seen.
    held: Option<Bytes>,
}

pub(crate) enum Content {
    Download(Box<Download>),
    File(BlobFile),
}

impl Content {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        match self {
            Self::Download(download) => download.next().await,
            Self::File(file) => file.next(),
        }
    }
}

impl Blob {
    pub(super) fn new(content: Content, digest: Digest, size: u64) -> Self {
        Self { content, digest, size, seen: 0, hasher: Some(Hasher::new()), held: None }
    }

    /// The next piece; nothing at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>> {
        while let Some(hasher) = &mut self.hasher {
            let Some(piece) = self.content.next().await? else {
                self.check()?;
                break;
            };
            hasher.update(&piece);
            self.seen += piece.len() as u64;
            if self.seen > self.size {
                return Err(damaged(format!(
                    "the blob {} is longer than expected, which is {} bytes",
                    self.digest, self.size
                )));
            }
            if let Some(earlier) = self.held.replace(piece) {
                return Ok(Some(earlier));
            }
        }
        Ok(self.held.take())
    }

    fn check(&mut self) -> Result<()> {
        if self.seen != self.size {
            let (seen, size) = (self.seen, self.size);
            return Err(damaged(format!("the blob {} has {seen} bytes, expected {size}", self.digest)));
        }
        let found = self.hasher.take().map(Hasher::finish);
        if found.as_ref() != Some(&self.digest) {
            let found = found.map(|digest| digest.to_string()).unwrap_or_default();
            let text = format!("the blob is corrupted: its content has the digest {found}, expected {}", self.digest);
            return Err(damaged(text));
        }
        Ok(())
    }

    /// All of it in memory that is no process' own, at its beginning, once it is known to be what the digest names. `received` hears
    /// how many bytes have come.
    pub(crate) async fn checked(mut self, mut received: impl FnMut(u64)) -> Result<File> {
        let doing = || format!("holding the blob {} until it is checked", self.digest);
        let mut file = File::from(memfd_create("blob", MemfdFlags::CLOEXEC).with_context(doing)?);
        let mut bytes = 0;
        while let Some(piece) = self.next().await? {
            file.write_all(&piece).with_context(|| format!("holding the blob {} until it is checked", self.digest))?;
            bytes += piece.len() as u64;
            received(bytes);
        }
        file.seek(SeekFrom::Start(0)).context("going back to a blob's beginning")?;
        Ok(file)
    }

    /// All of it, if it has at most `limit` bytes.
    pub(crate) async fn read(mut self, limit: u64) -> Result<Bytes> {
        if self.size > limit {
            bail!("the blob {} has {} bytes, expected at most {limit} to take into memory", self.digest, self.size);
        }
        let mut all = BytesMut::new();
        while let Some(piece) = self.next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }
}

fn damaged(text: String) -> Error {
    Failed::new(Kind::Damaged, text).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::layout::Layout;

    /// A layout with one blob, which `digest` calls it.
    fn layout(content: &[u8], digest: &Digest) -> (tempfile::TempDir, Layout) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = folder.path().join("blobs/sha256");
        std::fs::create_dir_all(&blobs).unwrap();
        std::fs::write(blobs.join(digest.hex()), content).unwrap();
        std::fs::write(folder.path().join("index.json"), r#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
        let layout = Layout::open(folder.path()).unwrap();
        (folder, layout)
    }

    async fn read(content: &[u8], digest: &Digest, size: u64) -> (u64, Result<()>) {
        let (_folder, layout) = layout(content, digest);
        let mut blob = Blob::new(Content::File(layout.blob(digest).unwrap()), digest.clone(), size);
        let mut bytes = 0;
        loop {
            match blob.next().await {
                Ok(Some(piece)) => bytes += piece.len() as u64,
                Ok(None) => return (bytes, Ok(())),
                Err(error) => return (bytes, Err(error)),
            }
        }
    }

    #[tokio::test]
    async fn of_a_wrong_blob_never_all_is_seen() {
        let content = vec![7; 200_000];
        let digest = crate::content::digest::of(&content);
        assert!(matches!(read(&content, &digest, 200_000).await, (200_000, Ok(()))));
        assert!(matches!(read(b"", &crate::content::digest::of(b""), 0).await, (0, Ok(()))));
        let other = crate::content::digest::of(b"other");
        let table = [
            (&content[..], &other, 200_000, "the blob is corrupted: its content has the digest sha256:"),
            (&content[..], &digest, 300_000, "has 200000 bytes, expected 300000"),
            (&content[..], &digest, 100_000, "is longer than expected, which is 100000 bytes"),
            (&b"x"[..], &other, 1, "the blob is corrupted"),
        ];
        for (content, digest, size, expected) in table {
            let (bytes, result) = read(content, digest, size).await;
            let error = result.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(bytes < content.len() as u64, "{bytes}");
        }
    }
}
