//! `remove`: all that no release that stays needs goes: deployments, images, layers, objects.

use std::{collections::BTreeSet, path::Path};

use anyhow::{Context, Result};
use ballast_types::worker::Removed;
use ostree_ext::{
    container::store,
    ostree::{Deployment, SysrootWriteDeploymentsOpts},
};
use rustix::fs::statvfs;

use crate::{
    image::Digest,
    repository::{self, NEVER},
};

pub(crate) async fn remove(root: &Path, keep: &[Digest]) -> Result<Removed> {
    let sysroot = repository::open_locked(root).await?;
    let repo = sysroot.repo();
    let before = free_bytes(root)?;

    // The one that runs stays, whatever was asked.
    let booted = sysroot.booted_deployment();
    let digest = |deployment: &Deployment| repository::origin(deployment).map(|origin| origin.digest);
    let mut kept: Vec<Digest> = keep.to_vec();
    kept.extend(booted.as_ref().and_then(digest));
    let is_booted = |deployment: &Deployment| booted.as_ref().is_some_and(|booted| booted.equal(deployment));
    let is_kept = |deployment: &Deployment| {
        is_booted(deployment) || digest(deployment).is_some_and(|digest| kept.contains(&digest))
    };
    let (staying, going): (Vec<_>, Vec<_>) = sysroot.deployments().into_iter().partition(is_kept);
    let mut removed: BTreeSet<String> = going.iter().filter_map(digest).map(|digest| digest.to_string()).collect();
    if !going.is_empty() {
        // Its clean-up comes below, once, when the images are gone as well.
        let later = SysrootWriteDeploymentsOpts { do_postclean: false };
        sysroot.write_deployments_with_options(&staying, &later, NEVER).context("taking out deployments")?;
    }
    for image in repository::images(&repo)? {
        if !kept.contains(&image.digest) {
            store::remove_image(&repo, &image.reference)?;
            removed.insert(image.digest.to_string());
        }
    }
    store::gc_image_layers(&repo)?;
    sysroot.cleanup(NEVER).context("taking away what no release needs")?;
    Ok(Removed { removed: removed.into_iter().collect(), freed_bytes: free_bytes(root)?.saturating_sub(before) })
}

fn free_bytes(root: &Path) -> Result<u64> {
    let place = root.join("ostree/repo");
    let about = statvfs(&place).with_context(|| format!("asking how much room {} has", place.display()))?;
    Ok(about.f_bfree * about.f_frsize)
}
