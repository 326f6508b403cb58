//! The images that the OS brings along: archives that are imported when the runtime has not exactly that image. On a disk
//! as built it has them all; on a blank VAR, and after an upgrade that brings others, it has not.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Context, Error, Result, bail};
use ballast_types::{Digest, ImageReference};
use tokio::time::{Instant, sleep};

use super::model::Archive;
use crate::clients::{
    archive::{self, ArchivedImage, Found},
    cri::Cri,
    host::Host,
};

const FOLDER: &str = "/usr/lib/ballast/images";

/// The CRI learns of an import by an event.
const LISTED_WITHIN: Duration = Duration::from_secs(10);
const LISTED_AGAIN: Duration = Duration::from_millis(10);

/// The archived images, by their name and by their digest; and why archives cannot be read, which costs nothing but them. An image whose
/// name is none is left out.
///
/// # Errors
/// If the folder of the archives cannot be read.
pub(super) fn archives(host: &Host) -> Result<(BTreeMap<ImageReference, Archive>, Vec<Error>)> {
    let mut all = BTreeMap::new();
    let Found { images, damaged } = archive::list(&host.path(FOLDER))?;
    for image in images {
        let (digest, archive) = match archived(image) {
            Ok(archived) => archived,
            Err(error) => {
                log::warn!("{error:#}; this image is left out");
                continue;
            }
        };
        all.insert(archive.reference.with_digest(digest), archive.clone());
        all.insert(archive.reference.clone(), archive);
    }
    Ok((all, damaged))
}

/// Imports the archive of an image, if the runtime has not exactly this image, and waits until the CRI lists all that is in
/// the archive.
///
/// # Errors
/// If the archive is not taken.
pub(super) async fn provide(host: &Host, cri: &Cri, archive: &Archive) -> Result<()> {
    if missing(cri, std::slice::from_ref(archive)).await?.is_none() {
        return Ok(());
    }
    log::info!("importing {}", archive.path);
    cri.import(Path::new(&archive.path)).await?;
    let path = archive.path.clone();
    let images = host.read("reading an archive of images", move |_| archive::read(Path::new(&path))).await?;
    let images: Vec<Archive> =
        images.into_iter().map(|image| archived(image).map(|(_, archive)| archive)).collect::<Result<_>>()?;
    let start = Instant::now();
    while let Some(reference) = missing(cri, &images).await? {
        if start.elapsed() > LISTED_WITHIN {
            bail!("{} was imported, but the runtime does not list {reference}", archive.path);
        }
        sleep(LISTED_AGAIN).await;
    }
    Ok(())
}

/// Imports all that the OS brings along and the runtime has not. Returns how many images there are.
///
/// # Errors
/// If an archive is damaged or not taken.
pub async fn provide_all(host: &Host, cri: &Cri) -> Result<usize> {
    let (mut archives, damaged) = host.read("reading the archives of images", archives).await?;
    if let Some(error) = damaged.into_iter().next() {
        return Err(error);
    }
    archives.retain(|reference, archive| *reference == archive.reference);
    for archive in archives.values() {
        provide(host, cri, archive).await?;
    }
    Ok(archives.len())
}

/// The first of `archives` that the runtime has not, or not so.
async fn missing(cri: &Cri, archives: &[Archive]) -> Result<Option<ImageReference>> {
    let images = cri.images().await?;
    let is_there = |archive: &Archive| {
        let has_name =
            |text: &String| ImageReference::parse(text).is_ok_and(|reference| reference == archive.reference);
        images.iter().any(|image| image.id == archive.config && image.references.iter().any(has_name))
    };
    Ok(archives.iter().find(|archive| !is_there(archive)).map(|archive| archive.reference.clone()))
}

/// With the digest of its manifest.
fn archived(image: ArchivedImage) -> Result<(Digest, Archive)> {
    let doing = || format!("reading {}", image.path.display());
    let reference = ImageReference::parse(&image.reference).with_context(doing)?;
    let digest = Digest::parse(&image.digest).with_context(doing)?;
    let path = image.path.display().to_string();
    Ok((digest, Archive { path, reference, config: image.config }))
}
