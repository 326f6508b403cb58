//! Damaged and missing objects of a release: they and the layers that brought them are forgotten, then fetched as what is
//! missing always is. A crash in between leaves a release that is fetched in part, which the next attempt goes on with.

use std::path::Path;

use anyhow::{Context, Result};
use ostree_ext::{container::store, ostree::Repo};

use crate::{
    fetch,
    findings::Findings,
    image::Image,
    inspect::{self, layer_commit, layer_ref},
    options::Proxy,
    repository::{self, NEVER},
};

pub(crate) async fn fetch_anew(
    root: &Path,
    repo: &Repo,
    image: &Image,
    options: &Proxy,
    findings: &Findings,
) -> Result<()> {
    // First of all, so that nothing is forgotten that cannot be had.
    let release = inspect::resolve(root, image, options).await?;
    let mut touched = Vec::new();
    for layer in release.manifest.layers() {
        let digest = layer.digest().to_string();
        if let Some(commit) = layer_commit(repo, &digest)?
            && is_touched(repo, &commit, findings)
        {
            touched.push(layer_ref(&digest)?);
        }
    }
    let images = repository::images(repo)?.into_iter().filter(|stored| stored.digest == release.digest);
    for stored in images {
        // Its own commit is made from the layers: it has nothing that would have to be fetched.
        store::remove_image(repo, &stored.reference)?;
    }
    for (name, bad) in findings.bad.iter().filter(|(_, bad)| bad.is_damaged) {
        let removed = repo.delete_object(bad.name.object_type(), bad.name.checksum(), NEVER);
        removed.with_context(|| format!("removing the damaged {name}"))?;
    }
    for name in touched {
        repo.set_ref_immediate(None, &name, None, NEVER).with_context(|| format!("forgetting the layer {name}"))?;
    }
    fetch::into_repository(root, repo, image, &release.digest, options).await.map(drop)
}

/// Whether a layer needs an object that is bad. One whose own folder cannot be read does.
fn is_touched(repo: &Repo, commit: &str, findings: &Findings) -> bool {
    match repo.traverse_commit(commit, 0, NEVER) {
        Ok(needed) => needed.iter().any(|name| findings.bad.contains_key(&name.to_string())),
        Err(_) => true,
    }
}
