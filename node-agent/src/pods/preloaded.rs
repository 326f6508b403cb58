//! The images that the OS brings along: archives that are imported when the runtime has not exactly that image. On a disk
//! as built it has them all; on a blank VAR, and after an upgrade that brings others, it has not.

use std::{collections::BTreeMap, path::Path, time::Duration};

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

use super::{manifest::full_reference, model::Archive};
use crate::clients::{
    archive::{self, ArchivedImage},
    cri::Cri,
    host::Host,
};

const FOLDER: &str = "/usr/lib/ballast/images";

/// The CRI learns of an import by an event.
const LISTED_WITHIN: Duration = Duration::from_secs(10);
const LISTED_AGAIN: Duration = Duration::from_millis(10);

/// The archived images, by full reference.
///
/// # Errors
/// If an archive is damaged.
pub(super) fn archives(host: &Host) -> Result<BTreeMap<String, Archive>> {
    Ok(by_reference(archive::list(&host.path(FOLDER))?))
}

/// Imports the archive of an image, if the runtime has not exactly this image, and waits until the CRI lists all that is in
/// the archive.
///
/// # Errors
/// If the archive is not taken.
pub(super) async fn provide(host: &Host, cri: &Cri, reference: &str, archive: &Archive) -> Result<()> {
    let wanted = BTreeMap::from([(reference.to_owned(), archive.clone())]);
    if missing(cri, &wanted).await?.is_none() {
        return Ok(());
    }
    log::info!("importing {}", archive.path);
    cri.import(Path::new(&archive.path)).await?;
    let path = archive.path.clone();
    let brought = host.read("reading an archive of images", move |_| archive::read(Path::new(&path))).await?;
    let brought = by_reference(brought);
    let start = Instant::now();
    while let Some(reference) = missing(cri, &brought).await? {
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
    let archives = archives(host)?;
    for (reference, archive) in &archives {
        provide(host, cri, reference, archive).await?;
    }
    Ok(archives.len())
}

/// The first of `archives` that the runtime has not, or not so.
async fn missing(cri: &Cri, archives: &BTreeMap<String, Archive>) -> Result<Option<String>> {
    let images = cri.images().await?;
    let is_there = |reference: &String, archive: &Archive| {
        images.iter().any(|image| image.id == archive.config && image.references.contains(reference))
    };
    Ok(archives
        .iter()
        .find(|(reference, archive)| !is_there(reference, archive))
        .map(|(reference, _)| reference.clone()))
}

fn by_reference(images: Vec<ArchivedImage>) -> BTreeMap<String, Archive> {
    let entry = |image: ArchivedImage| {
        let path = image.path.display().to_string();
        (full_reference(&image.reference), Archive { path, config: image.config })
    };
    images.into_iter().map(entry).collect()
}
