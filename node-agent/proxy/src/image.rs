//! An image that a client has opened: allowed by the policy, and narrowed down to this machine's platform.

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use serde_json::Value;

use super::{
    content::{
        convert,
        digest::Digest,
        manifest::{self, Descriptor, Kind, Manifest},
        reference::ImageName,
    },
    policy::{check, model::Policy},
    source::{Source, blob::Blob},
};

/// As for manifests.
const MAX_CONFIG_BYTES: u64 = manifest::MAX_BYTES;

pub(super) struct Image {
    source: Source,
    pub(super) digest: Digest,
    /// When its signatures run out, in seconds since 1970, if they do.
    pub(super) signed_until: Option<u64>,
    manifest: Bytes,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

impl Image {
    /// Fetches the manifest, asks the policy, and only then looks further.
    pub(super) async fn open(mut source: Source, name: &ImageName, policy: &Policy) -> Result<Self> {
        let version = match name {
            ImageName::Docker(name) => Some(name.version()),
            ImageName::Oci { tag, .. } => tag.clone(),
        };
        let mut manifest = source.open(version.as_deref()).await?;
        // An index is what is signed; the digest in it vouches for the image.
        let signed_until = check::check(policy, &source, name, &manifest.digest).await?;
        if let Kind::Index(images) = &manifest.kind {
            let chosen = manifest::choose(images)?;
            manifest = source.manifest(&chosen.digest).await.context("fetching the image that the index names")?;
        }
        let Manifest { bytes, digest, kind } = manifest;
        match kind {
            Kind::Index(_) => bail!("the index names another index, expected an image"),
            Kind::Image { config, layers, is_docker } => {
                let manifest = if is_docker { convert::to_oci(&bytes)?.into() } else { bytes };
                Ok(Self { source, digest, signed_until, manifest, config, layers })
            }
        }
    }

    /// As OCI, whatever it was.
    pub(super) fn manifest(&self) -> Bytes {
        self.manifest.clone()
    }

    pub(super) async fn config(&self) -> Result<Bytes> {
        let blob = self.source.blob(&self.config.digest, self.config.size).await?;
        blob.read(MAX_CONFIG_BYTES).await.context("fetching the image's configuration")
    }

    pub(super) async fn blob(&self, digest: &Digest, size: u64) -> Result<Blob> {
        self.source.blob(digest, size).await
    }

    /// The layers as the client has to ask for them, which is as the manifest names them.
    pub(super) fn layers(&self) -> Result<Value> {
        // From the converted manifest: its media types are OCI's.
        let manifest: Value = serde_json::from_slice(&self.manifest).context("reading the manifest")?;
        let media_type = |index: usize| manifest["layers"][index]["mediaType"].clone();
        let all = self.layers.iter().enumerate().map(|(index, layer)| {
            serde_json::json!({"digest": layer.digest.to_string(), "size": layer.size, "media_type": media_type(index)})
        });
        Ok(all.collect())
    }
}
