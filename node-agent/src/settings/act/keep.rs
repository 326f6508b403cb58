//! Keeps what the first boot found, byte for byte, and who was asked.

use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt};

use anyhow::{Context, Result};
use ballast_settings::Kind;

use crate::{
    clients::{host::Host, store},
    settings::{
        model::{Probe, SOURCES, SourceKind},
        observe::{self, PROVISIONING_RECORD},
    },
};

/// What somebody gave: what it is, and its bytes.
pub type Given = Vec<(Kind, Vec<u8>)>;

/// Replaces what `source` gave before by `given`.
///
/// # Errors
/// If it cannot be written.
pub fn keep(host: &Host, source: SourceKind, given: &Given) -> Result<()> {
    add(host, source, given)?;
    for kind in Kind::ALL.into_iter().filter(|kind| given.iter().all(|(found, _)| found != kind)) {
        store::remove(&host.path(format!("{SOURCES}/{}", source.file(kind))))?;
    }
    Ok(())
}

/// Keeps `given` beside what `source` gave before: it is not all.
///
/// # Errors
/// If it cannot be written.
pub fn add(host: &Host, source: SourceKind, given: &Given) -> Result<()> {
    // What is in it is for root alone, and so is which of them there are.
    let made = DirBuilder::new().recursive(true).mode(0o700).create(host.path(SOURCES));
    made.with_context(|| format!("making the folder {SOURCES}"))?;
    for (kind, bytes) in given {
        store::write(&host.path(format!("{SOURCES}/{}", source.file(*kind))), bytes)?;
    }
    Ok(())
}

/// Writes down that these were asked.
///
/// # Errors
/// If it cannot be written.
pub fn note(host: &Host, probes: Vec<(SourceKind, Probe)>) -> Result<()> {
    // One that is damaged is written anew.
    let mut record = observe::record(host).unwrap_or_default();
    record.probed.extend(probes);
    let text = serde_json::to_vec_pretty(&record).context("encoding who was asked for settings")?;
    store::write(&host.path(PROVISIONING_RECORD), &text)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn what_was_given_takes_the_place_of_what_was_given_before() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        let both = vec![(Kind::Settings, b"a".to_vec()), (Kind::Hostname, b"b".to_vec())];
        keep(&host, SourceKind::Metadata, &both).unwrap();
        keep(&host, SourceKind::Volume, &vec![(Kind::MetaData, b"c".to_vec())]).unwrap();
        keep(&host, SourceKind::Metadata, &vec![(Kind::Settings, b"d".to_vec())]).unwrap();
        let mut names: Vec<_> = fs::read_dir(host.path(SOURCES)).unwrap().map(|one| one.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["metadata", "volume.meta-data"]);
        assert_eq!(fs::read(host.path(SOURCES).join("metadata")).unwrap(), b"d");
        assert_eq!(host.path(SOURCES).metadata().unwrap().permissions().mode() & 0o777, 0o700);
    }

    #[test]
    fn who_was_asked_is_added_up() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        let probe = |at| Probe { at, found: true, what: String::new(), failed: false, volume: None };
        note(&host, vec![(SourceKind::Esp, probe(1)), (SourceKind::Volume, probe(2))]).unwrap();
        note(&host, vec![(SourceKind::Esp, probe(3))]).unwrap();
        let record = observe::record(&host).unwrap();
        assert_eq!((record.probed[&SourceKind::Esp].at, record.probed[&SourceKind::Volume].at), (3, 2));
        assert!(!record.has(SourceKind::Metadata));
        fs::write(host.path(PROVISIONING_RECORD), "{").unwrap();
        note(&host, vec![(SourceKind::Esp, probe(4))]).unwrap();
        assert!(observe::record(&host).unwrap().has(SourceKind::Esp));
    }
}
