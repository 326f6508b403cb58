//! Images in a folder: the OCI layout (opencontainers/image-spec: image-layout.md), as on a USB stick.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use bytes::{Bytes, BytesMut};

use crate::{
    content::{
        digest::Digest,
        manifest::{Descriptor, Kind, MAX_BYTES, Manifest},
    },
    failure,
};

/// The annotation of an index that gives an image its tag.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Read and given out at a time.
const PIECE_BYTES: usize = 64 * 1024;

pub(crate) struct Layout {
    folder: PathBuf,
    images: Vec<Descriptor>,
}

impl Layout {
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let doing = || format!("reading the OCI layout {}", folder.display());
        let index = read_small(&folder.join("index.json")).with_context(doing)?;
        match Manifest::parse(index, None).with_context(doing)?.kind {
            Kind::Index(images) => Ok(Self { folder: folder.to_owned(), images }),
            Kind::Image { .. } => bail!("{}: index.json is no index", doing()),
        }
    }

    /// The manifest with that tag; without one, the only image there is.
    pub(crate) fn manifest(&self, tag: Option<&str>) -> Result<Manifest> {
        let name_of = |descriptor: &Descriptor| descriptor.annotations.get(REF_NAME).cloned();
        let images = || self.images.iter().filter(|image| tag.is_none() || name_of(image).as_deref() == tag);
        // Signatures are no images.
        let is_image =
            |image: &&Descriptor| tag.is_some() || !name_of(image).is_some_and(|name| name.ends_with(".sig"));
        let mut found = images().filter(is_image);
        match (found.next(), found.next()) {
            (Some(image), None) => self.manifest_by_digest(&image.digest),
            (None, _) => {
                let names: Vec<String> = self.images.iter().filter_map(name_of).collect();
                let wanted = tag.map_or("no image".to_owned(), |tag| format!("no image with the tag {tag:?}"));
                let text = format!("{} has {wanted}, it has [{}]", self.folder.display(), names.join(", "));
                Err(failure::Failed::new(failure::Kind::NotFound, text).into())
            }
            (Some(_), Some(_)) => {
                bail!("{} has several images that fit, expected one; say oci:FOLDER:TAG", self.folder.display())
            }
        }
    }

    pub(crate) fn manifest_by_digest(&self, digest: &Digest) -> Result<Manifest> {
        let doing = || format!("reading the manifest {digest} in {}", self.folder.display());
        let manifest = read_small(&self.blob_path(digest)).and_then(|bytes| Manifest::parse(bytes, None));
        let manifest = manifest.with_context(doing)?;
        if manifest.digest != *digest {
            let text = format!("{}: its content has the digest {}", doing(), manifest.digest);
            return Err(failure::Failed::new(failure::Kind::Damaged, text).into());
        }
        Ok(manifest)
    }

    pub(crate) fn blob(&self, digest: &Digest) -> Result<BlobFile> {
        let path = self.blob_path(digest);
        let file = File::open(&path).with_context(|| format!("opening {}", path.display()))?;
        Ok(BlobFile { file, path })
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.folder.join("blobs/sha256").join(digest.hex())
    }
}

/// A blob that is read piece by piece. Each piece is read without leaving the thread: it is short, and nothing else is
/// to be done but to give it out.
pub(crate) struct BlobFile {
    file: File,
    path: PathBuf,
}

impl BlobFile {
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>> {
        let mut piece = BytesMut::zeroed(PIECE_BYTES);
        let bytes = self.file.read(&mut piece).with_context(|| format!("reading {}", self.path.display()))?;
        piece.truncate(bytes);
        Ok((bytes > 0).then(|| piece.freeze()))
    }
}

fn read_small(path: &Path) -> Result<Bytes> {
    let doing = || format!("reading {}", path.display());
    let mut bytes = Vec::new();
    File::open(path).with_context(doing)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).with_context(doing)?;
    if bytes.len() as u64 > MAX_BYTES {
        bail!("{} is longer than {MAX_BYTES} bytes, which is more than is taken into memory", path.display());
    }
    Ok(bytes.into())
}
