//! `inspect`: manifest and configuration are fetched, nothing else; what they say, and which layers are here.

use std::path::Path;

use anyhow::{Context, Result};
use ballast_types::worker::{Inspected, Layer, Release};
use ostree_ext::{
    container::OstreeImageReference,
    oci_spec::image::{ImageConfiguration, ImageManifest},
    ostree::Repo,
    refescape,
};

use crate::{
    failure::{Failure, Kind},
    image::{Digest, Image},
    options::Proxy,
    proxy::{self, Prepared},
    release, repository,
};

/// Where ostree-ext keeps layers.
pub(crate) const LAYERS: &str = "ostree/container/blob";

/// An image that the policy let pass, and that is a release.
pub(crate) struct Resolved {
    pub(crate) digest: Digest,
    pub(crate) manifest: ImageManifest,
    pub(crate) release: Release,
    /// When its signatures run out, in seconds since 1970, if they do.
    pub(crate) signed_until: Option<u64>,
}

pub(crate) async fn inspect(root: &Path, image: &Image, options: &Proxy) -> Result<Inspected> {
    let doing = || format!("looking at {image}");
    let Resolved { digest, manifest, release, signed_until } =
        resolve(root, image, options).await.with_context(doing)?;
    let repo = repository::open(root)?.repo();
    let mut layers = Vec::new();
    for layer in manifest.layers() {
        let present = layer_commit(&repo, layer.digest().as_ref())?.is_some();
        layers.push(Layer { digest: layer.digest().to_string(), size: layer.size(), present });
    }
    Ok(Inspected { digest, release, layers, signed_until })
}

pub(crate) async fn resolve(root: &Path, image: &Image, options: &Proxy) -> Result<Resolved> {
    ballast_proxy_client::check(&options.proxy)?;
    let Prepared { config, reports } = proxy::prepare(root, image, options)?;
    let fetched = manifest_and_configuration(config, &image.source()).await;
    let (digest, manifest, config) = fetched.map_err(|error| reports.explain(error))?;
    check_digest(image, &digest)?;
    Ok(Resolved { digest, release: release::read(&config)?, manifest, signed_until: reports.signed_until() })
}

async fn manifest_and_configuration(
    config: ostree_ext::container::store::ImageProxyConfig,
    reference: &OstreeImageReference,
) -> Result<(Digest, ImageManifest, ImageConfiguration)> {
    let proxy = ostree_ext::containers_image_proxy::ImageProxy::new_with_config(config).await?;
    let opened = proxy.open_image(&reference.imgref.to_string()).await?;
    let (digest, manifest) = proxy.fetch_manifest(&opened).await?;
    let config = proxy.fetch_config(&opened).await?;
    proxy.close_image(&opened).await?;
    proxy.finalize().await?;
    Ok((digest.parse()?, manifest, config))
}

/// A folder's image is not opened by its digest, so that is looked at here.
pub(crate) fn check_digest(image: &Image, found: &Digest) -> Result<()> {
    match &image.digest {
        Some(asked) if asked != found => {
            Err(Failure::new(Kind::Damaged, format!("the image has the digest {found}, asked for {asked}")).into())
        }
        Some(_) | None => Ok(()),
    }
}

/// The commit that holds a layer's objects, if the layer is here.
pub(crate) fn layer_commit(repo: &Repo, digest: &str) -> Result<Option<String>> {
    let name = layer_ref(digest)?;
    let commit = repo.resolve_rev(&name, true).with_context(|| format!("looking for the layer {digest}"))?;
    Ok(commit.map(String::from))
}

pub(crate) fn layer_ref(digest: &str) -> Result<String> {
    refescape::prefix_escape_for_ref(LAYERS, digest)
}
