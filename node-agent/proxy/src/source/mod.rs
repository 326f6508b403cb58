//! Where an image comes from: the registries in line (mirrors, then the location), or a folder. What is fetched is checked
//! against its digest here, so that nobody above has to.

pub(super) mod blob;
pub(super) mod layout;
pub(super) mod registry;

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;

use self::{
    blob::{Blob, Content},
    layout::Layout,
    registry::{Backoff, Failure, Registry, download::Download},
};
use super::{
    content::{digest::Digest, manifest::Manifest},
    failure::{Failed, Kind, kind},
};

/// As long as another source waits, one that fails is asked only once more.
const ATTEMPTS_AT_MIRRORS: u32 = 2;

pub(super) enum Source {
    Registries(Sources),
    Layout(Layout),
}

/// Registries in the order in which they are asked, beginning with the one that had the image.
#[derive(Clone)]
pub(super) struct Sources {
    all: Arc<[Arc<Registry>]>,
    first: usize,
    attempts: u32,
}

impl Sources {
    pub(super) fn new(all: Vec<Registry>, attempts: u32) -> Self {
        Self { all: all.into_iter().map(Arc::new).collect(), first: 0, attempts }
    }

    /// The one whose turn it is after `turn` others.
    fn in_turn(&self, turn: usize) -> Option<&Arc<Registry>> {
        let index = (turn < self.all.len()).then(|| (self.first + turn) % self.all.len())?;
        self.all.get(index)
    }

    fn backoff(&self, turn: usize) -> Backoff {
        let is_last = turn + 1 >= self.all.len();
        Backoff::new(if is_last { self.attempts } else { self.attempts.min(ATTEMPTS_AT_MIRRORS) })
    }

    /// The manifest called `version` from the first that has it, and which one that is.
    async fn manifest(&self, version: &str) -> Result<(Manifest, usize)> {
        let mut errors = Vec::new();
        let mut last_kind = None;
        for turn in 0..self.all.len() {
            let Some(registry) = self.in_turn(turn) else { break };
            let mut backoff = self.backoff(turn);
            let failure = loop {
                let failure = match registry.manifest(version).await {
                    Ok((bytes, media_type)) => match check(bytes, media_type.as_deref(), version) {
                        Ok(manifest) => return Ok((manifest, (self.first + turn) % self.all.len())),
                        Err(error) => Failure::Final(error),
                    },
                    Err(failure) => failure,
                };
                if let Err(failure) = backoff.pause(failure).await {
                    break failure;
                }
            };
            // Only the last one, the location itself, can say that there is none.
            last_kind = failure.kind();
            let error = failure.into_error();
            errors.push(format!("{}: {error:#}", registry.location.name.name()));
        }
        let text = errors.join("; ");
        Err(last_kind.map_or_else(|| anyhow!(text.clone()), |kind| Failed::new(kind, &*text).into()))
    }
}

fn check(bytes: Bytes, media_type: Option<&str>, version: &str) -> Result<Manifest> {
    let manifest = Manifest::parse(bytes, media_type)?;
    if version.parse::<Digest>().is_ok_and(|asked| asked != manifest.digest) {
        let text = format!("asked for the manifest {version}, it sends one with the digest {}", manifest.digest);
        return Err(Failed::new(Kind::Damaged, text).into());
    }
    Ok(manifest)
}

impl Source {
    /// The manifest with that tag or digest (in a folder also: none). Where it was is asked first from now on.
    pub(super) async fn open(&mut self, version: Option<&str>) -> Result<Manifest> {
        match self {
            Self::Layout(layout) => layout.manifest(version),
            Self::Registries(sources) => {
                let (manifest, first) =
                    sources.manifest(version.context("an image in a registry has a tag or a digest")?).await?;
                sources.first = first;
                Ok(manifest)
            }
        }
    }

    pub(super) async fn manifest(&self, digest: &Digest) -> Result<Manifest> {
        match self {
            Self::Layout(layout) => layout.manifest_by_digest(digest),
            Self::Registries(sources) => Ok(sources.manifest(&digest.to_string()).await?.0),
        }
    }

    /// The manifest with that tag, if there is one.
    pub(super) async fn manifest_by_tag(&self, tag: &str) -> Result<Option<Manifest>> {
        let manifest = match self {
            Self::Layout(layout) => layout.manifest(Some(tag)),
            Self::Registries(sources) => sources.manifest(tag).await.map(|(manifest, _)| manifest),
        };
        match manifest {
            Err(error) if kind(&error) == Some(Kind::NotFound) => Ok(None),
            manifest => manifest.map(Some),
        }
    }

    pub(super) async fn blob(&self, digest: &Digest, size: u64) -> Result<Blob> {
        let content = match self {
            Self::Layout(layout) => Content::File(layout.blob(digest)?),
            Self::Registries(sources) => {
                Content::Download(Box::new(Download::start(sources.clone(), digest.clone(), size).await?))
            }
        };
        Ok(Blob::new(content, digest.clone(), size))
    }
}
