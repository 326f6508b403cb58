//! `fetch`: a release's layers into the repository. A layer that is here is not fetched again, so what a crash or a broken
//! network left is gone on with.

use std::path::Path;

use anyhow::{Context, Result};
use ballast_types::worker::Fetched;
use ostree_ext::{
    container::store::{ImageImporter, LayeredImageState, PrepareResult},
    ostree::Repo,
};

use crate::{
    image::{Digest, Image},
    inspect::check_digest,
    options::Proxy,
    progress::Plan,
    proxy::{self, Prepared},
    release::{self, derived_layers},
    repository,
};

pub(crate) async fn fetch(root: &Path, image: &Image, options: &Proxy) -> Result<Fetched> {
    let digest = image.digest.as_ref();
    let digest = digest
        .with_context(|| format!("expected IMAGE@sha256:HEX, not {image}: what is fetched is named by its digest"))?;
    let sysroot = repository::open_locked(root).await?;
    let (state, fetched_bytes) = into_repository(root, &sysroot.repo(), image, digest, options).await?;
    let version = release::read(&state.configuration)?.version;
    Ok(Fetched { digest: digest.clone(), version, commit: commit(&state).to_owned(), fetched_bytes })
}

/// The commit that is deployed. A derived release exists only as what its layers add up to; else it is the one that was built.
pub(crate) fn commit(state: &LayeredImageState) -> &str {
    if derived_layers(&state.configuration) > 0 { &state.merge_commit } else { &state.base_commit }
}

/// The image in the repository, and how many bytes were fetched for it.
pub(crate) async fn into_repository(
    root: &Path,
    repo: &Repo,
    image: &Image,
    digest: &Digest,
    options: &Proxy,
) -> Result<(Box<LayeredImageState>, u64)> {
    // The same release under another name is the same release.
    if let Some((_, state)) = repository::find(repo, digest)? {
        return Ok((state, 0));
    }
    ballast_proxy_client::check(&options.proxy)?;
    let Prepared { config, reports } = proxy::prepare(root, image, options)?;
    let imported = async {
        let mut importer = ImageImporter::new(repo, &image.source(), config).await?;
        importer.set_target(&image.stored(digest));
        // What another fetch that did not come to its end has brought is kept: `remove` collects.
        importer.disable_gc();
        let import = match importer.prepare().await? {
            PrepareResult::AlreadyPresent(state) => return Ok((state, 0)),
            PrepareResult::Ready(import) => import,
        };
        let found: Digest = import.manifest_digest.to_string().parse()?;
        check_digest(image, &found)?;
        release::read(&import.config)?;
        let plan = Plan::new(&import);
        let news = importer.request_layer_progress();
        let (state, ()) = tokio::join!(importer.import(import), plan.follow(news, reports.reception()?));
        Ok((state?, plan.total_bytes()))
    };
    imported.await.map_err(|error| reports.explain(error))
}
