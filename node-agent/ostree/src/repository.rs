//! The system as libostree sees it: its lock, its deployments, the images in its repository.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use ostree_ext::{
    container::{
        ImageReference,
        store::{self, LayeredImageState},
    },
    gio,
    ostree::{Deployment, Repo, Sysroot},
};
use tokio::time::{Instant, sleep};

use crate::{
    image::{Digest, asked_of},
    origin::Origin,
};

/// How long another that holds the lock is waited for: a deploy takes seconds, a fetch is not waited out.
const LOCK_TIMEOUT: Duration = Duration::from_secs(60);

/// libostree can only be asked whether the lock is free.
const LOCK_INTERVAL: Duration = Duration::from_millis(100);

/// Nothing here is cancelled: the process is killed.
pub(crate) const NEVER: Option<&gio::Cancellable> = None;

/// The system, opened for reading.
pub(crate) fn open(root: &Path) -> Result<Sysroot> {
    let doing = || format!("opening the system at {}", root.display());
    let sysroot = Sysroot::new(Some(&gio::File::for_path(root)));
    if root == Path::new("/") {
        sysroot.set_mount_namespace_in_use();
    }
    sysroot.load(NEVER).with_context(doing)?;
    Ok(sysroot)
}

/// The system with its lock held. libostree lets go of it when the process ends.
pub(crate) async fn open_locked(root: &Path) -> Result<Sysroot> {
    let sysroot = open(root)?;
    let deadline = Instant::now() + LOCK_TIMEOUT;
    while !sysroot.try_lock().context("locking the system")? {
        if Instant::now() >= deadline {
            bail!("another program holds the system's lock for more than {} s", LOCK_TIMEOUT.as_secs());
        }
        sleep(LOCK_INTERVAL).await;
    }
    // It may have changed while we waited.
    sysroot.load(NEVER).context("reading the deployments")?;
    Ok(sysroot)
}

/// An image in the repository.
pub(crate) struct Stored {
    pub(crate) reference: ImageReference,
    /// As it was asked for when it was fetched.
    pub(crate) asked: String,
    pub(crate) digest: Digest,
}

/// All images in the repository; not all of their layers need to be there.
pub(crate) fn images(repo: &Repo) -> Result<Vec<Stored>> {
    let mut images = Vec::new();
    for name in store::list_images(repo).context("listing the images in the repository")? {
        let reference = ImageReference::try_from(name.as_str()).with_context(|| format!("reading the image {name}"))?;
        if let Some((asked, digest)) = asked_of(&reference) {
            images.push(Stored { reference, asked, digest });
        }
    }
    Ok(images)
}

/// The image with that digest, if it has been fetched.
pub(crate) fn find(repo: &Repo, digest: &Digest) -> Result<Option<(Stored, Box<LayeredImageState>)>> {
    for stored in images(repo)? {
        if stored.digest == *digest {
            let state = store::query_image(repo, &stored.reference)
                .with_context(|| format!("reading the image {digest} in the repository"))?;
            return Ok(state.map(|state| (stored, state)));
        }
    }
    Ok(None)
}

/// What a deployment was made from; nothing if it was not made by us.
pub(crate) fn origin(deployment: &Deployment) -> Option<Origin> {
    Origin::read(&deployment.origin()?)
}

/// COMMIT.SERIAL
pub(crate) fn name(deployment: &Deployment) -> String {
    format!("{}.{}", deployment.csum(), deployment.deployserial())
}
