//! Containers that were ended because the node goes down: how they ended says nothing of their work. One that ends well on SIGTERM has not done it,
//! and starts again after the boot.

use std::collections::BTreeSet;

use anyhow::{Context, Result};

use super::model::{Sandbox, State};
use crate::clients::{host::Host, store};

const FILE: &str = "/var/lib/ballast/cut-short.json";

/// Their ids. A damaged file is reported and forgotten: its containers ended as their exit status says.
pub(super) fn read(host: &Host) -> BTreeSet<String> {
    let read = || -> Result<BTreeSet<String>> {
        let Some(text) = store::read(&host.path(FILE))? else { return Ok(BTreeSet::new()) };
        serde_json::from_slice(&text).with_context(|| format!("reading {FILE}"))
    };
    read().unwrap_or_else(|error| {
        log::warn!("{error:#}; it is removed");
        // It is written anew when the node goes down the next time.
        let _ = store::remove(&host.path(FILE));
        BTreeSet::new()
    })
}

/// Writes them down.
///
/// # Errors
/// If the disk does not take it.
pub(super) fn write(host: &Host, ids: &BTreeSet<String>) -> Result<()> {
    store::write(&host.path(FILE), &serde_json::to_vec(ids).context("encoding what is cut short")?)
}

/// With those that run in `sandboxes`, without those that are no more.
pub(super) fn with_running(known: &BTreeSet<String>, sandboxes: &[Sandbox]) -> BTreeSet<String> {
    let all = sandboxes.iter().flat_map(|sandbox| &sandbox.containers);
    all.filter(|one| one.state == State::Running || known.contains(&one.id)).map(|one| one.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_a_damaged_file_is_forgotten() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        assert!(read(&host).is_empty());
        let ids = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        fs::create_dir_all(host.path("/var/lib/ballast")).unwrap();
        write(&host, &ids).unwrap();
        assert_eq!(read(&host), ids);
        fs::write(host.path(FILE), b"\0\0").unwrap();
        assert!(read(&host).is_empty() && !host.path(FILE).exists());
    }
}
