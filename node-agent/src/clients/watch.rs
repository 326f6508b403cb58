//! Reports when a folder changes (inotify).

use std::{
    fs::DirBuilder,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result};
use futures_util::StreamExt;
use inotify::{Inotify, WatchMask};
use tokio::sync::Notify;

/// Watches `folders` and wakes `changed` after each change to one of their entries; several changes in a row may
/// be reported as one. A file counts when it is closed after writing or moved in, not while it is half written; a socket
/// when it appears and again when its permissions are set, by when its owner listens.
///
/// # Errors
/// If a folder cannot be watched; the others are all the same.
pub fn folders(folders: &[PathBuf], changed: Arc<Notify>) -> Result<()> {
    let inotify = Inotify::init().context("setting up inotify")?;
    let mask = WatchMask::CREATE
        | WatchMask::ATTRIB
        | WatchMask::CLOSE_WRITE
        | WatchMask::MOVED_TO
        | WatchMask::MOVED_FROM
        | WatchMask::DELETE
        | WatchMask::ONLYDIR;
    let mut watched = Ok(());
    for folder in folders {
        let added = inotify.watches().add(folder, mask).with_context(|| format!("watching {}", folder.display()));
        watched = watched.and(added.map(drop));
    }
    // One event with the longest name is 272 bytes; what does not fit is read in the next round.
    let mut events = inotify.into_event_stream([0; 1024]).context("reading from inotify")?;
    tokio::spawn(async move {
        while events.next().await.is_some() {
            changed.notify_one();
        }
    });
    watched
}

/// Makes `folder` and those above it, for root to write and all to pass through, if they are missing.
///
/// # Errors
/// If one cannot be made.
pub fn ensure_folder(folder: &Path) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o711).create(folder);
    made.with_context(|| format!("making the folder {}", folder.display()))
}
