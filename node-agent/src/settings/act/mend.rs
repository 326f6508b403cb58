//! What the settings are kept in, when it is damaged: set aside, made anew from what is still there, and reported. No damage keeps the node
//! from booting, and none needs a shell to be mended.

use std::path::Path;

use anyhow::{Context, Result};
use ballast_settings::Kind;

use super::{document, keep};
use crate::{
    clients::{damage, host::Host},
    settings::{
        model::{FILE, Probe, SOURCES, SourceKind},
        observe::{self, BEFORE, PROVISIONING_RECORD, TRIAL},
    },
};

/// Whether something is there that [`mend`] sets aside.
pub fn is_damaged(host: &Host) -> bool {
    observe::record(host).is_err()
        || observe::trial(host).is_err()
        || is_folder(&host.path(FILE))
        || is_folder(&host.path(BEFORE))
        || is_file(&host.path(SOURCES))
}

/// Sets aside what is damaged, and makes anew what can be. All is tried.
///
/// # Errors
/// If something could not be set aside or made anew; what is wrong with it is then reported wherever it is read.
pub fn mend(host: &Host) -> Result<()> {
    let steps = [mend_document(host), mend_before(host), mend_sources(host), mend_account(host), mend_trial(host)];
    steps.into_iter().collect::<Result<()>>().context("mending what the settings are kept in")
}

fn mend_document(host: &Host) -> Result<()> {
    if !is_folder(&host.path(FILE)) {
        return Ok(());
    }
    let then = "the settings of this node are lost, those that it was given hold; ballast settings edit makes new ones";
    damage::set_aside(host, FILE, "it is a folder", then)
}

fn mend_before(host: &Host) -> Result<()> {
    if !is_folder(&host.path(BEFORE)) {
        return Ok(());
    }
    damage::set_aside(host, BEFORE, "it is a folder", "the settings cannot be taken back, those that are there stay")
}

fn mend_sources(host: &Host) -> Result<()> {
    if !is_file(&host.path(SOURCES)) {
        return Ok(());
    }
    let then = "what this machine was given is lost; ballast settings refetch asks for it again";
    damage::set_aside(host, SOURCES, "it is no folder", then)
}

/// No later boot must ask who was asked before: a volume may be anybody's by now. The cloud is the same, and is asked again.
fn mend_account(host: &Host) -> Result<()> {
    let Err(error) = observe::record(host) else { return Ok(()) };
    let then = "what this machine was given is kept, and nobody but its cloud is asked again; ballast settings refetch asks all";
    damage::set_aside(host, PROVISIONING_RECORD, &format!("{error:#}"), then)?;
    let probe = |source: SourceKind| {
        let kept = Kind::ALL.into_iter().any(|kind| host.path(format!("{SOURCES}/{}", source.file(kind))).is_file());
        let what = "it was asked before; the record of that was damaged".to_owned();
        (source != SourceKind::Metadata || kept)
            .then_some((source, Probe { at: 0, found: kept, what, failed: false, volume: None }))
    };
    keep::note(host, SourceKind::ALL.into_iter().filter_map(probe).collect())
}

/// How long the trial had to go on is not known any more, so it ends: as if nobody had confirmed it.
fn mend_trial(host: &Host) -> Result<()> {
    let Err(error) = observe::trial(host) else { return Ok(()) };
    let has_before = host.path(BEFORE).is_file();
    let then = if has_before {
        "the settings that were on trial are taken back"
    } else {
        "the settings that are there stay, they are on trial no more"
    };
    damage::set_aside(host, TRIAL, &format!("{error:#}"), then)?;
    if has_before { document::revert(host) } else { document::confirm(host) }
}

fn is_folder(path: &Path) -> bool {
    path.is_dir()
}

fn is_file(path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::settings::observe::Reader;

    fn node() -> (tempfile::TempDir, Host) {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        fs::create_dir_all(host.path(SOURCES)).unwrap();
        fs::create_dir_all(host.path("/proc")).unwrap();
        fs::write(host.path("/proc/uptime"), "100.00 1.00\n").unwrap();
        fs::write(host.path("/proc/stat"), "cpu 1 1 1 1 1\ncpu0 1 1 1 1 1\n").unwrap();
        (tree, host)
    }

    /// Neither of these is what belongs there.
    const DAMAGED: [&[u8]; 4] = [b"", b"{\"secs\":", b"\0\0\0\0\0\0", b"\xff\xfe\x00x"];

    #[test]
    fn a_damaged_account_is_made_anew_and_no_volume_is_asked_again() {
        for bytes in DAMAGED {
            let (_tree, host) = node();
            fs::write(host.path(SOURCES).join("volume"), "hostname = \"a\"\n").unwrap();
            fs::write(host.path(PROVISIONING_RECORD), bytes).unwrap();
            assert!(is_damaged(&host), "{bytes:?}");
            mend(&host).unwrap();
            assert!(!is_damaged(&host));
            let probed = observe::record(&host).unwrap().probed;
            let found: Vec<(SourceKind, bool)> =
                probed.into_iter().map(|(source, probe)| (source, probe.found)).collect();
            assert_eq!(found, [(SourceKind::Credential, false), (SourceKind::Volume, true), (SourceKind::Esp, false)]);
            assert_eq!(Reader::default().read(&host).settings.hostname.as_ref().unwrap().as_str(), "a");
            assert_eq!(fs::read(host.path(format!("{PROVISIONING_RECORD}.damaged-1"))).unwrap(), bytes);
        }
    }

    #[test]
    fn a_damaged_trial_is_over() {
        for bytes in DAMAGED {
            let (_tree, host) = node();
            fs::write(host.path(FILE), "hostname = \"tried\"\n").unwrap();
            fs::write(host.path(BEFORE), "hostname = \"before\"\n").unwrap();
            fs::write(host.path(TRIAL), bytes).unwrap();
            mend(&host).unwrap();
            assert_eq!(fs::read_to_string(host.path(FILE)).unwrap(), "hostname = \"before\"\n");
            assert!(!is_damaged(&host) && observe::trial(&host).unwrap().is_none());
            assert_eq!(fs::read(host.path(format!("{TRIAL}.damaged-1"))).unwrap(), bytes);
        }
    }

    #[test]
    fn folders_where_files_belong_are_set_aside_and_each_is_reported() {
        let (_tree, host) = node();
        fs::remove_dir(host.path(SOURCES)).unwrap();
        fs::write(host.path(SOURCES), "").unwrap();
        for file in [FILE, BEFORE, TRIAL, PROVISIONING_RECORD] {
            fs::create_dir(host.path(file)).unwrap();
        }
        mend(&host).unwrap();
        assert!(!is_damaged(&host));
        let reported = damage::reported(&host);
        for file in [FILE, BEFORE, TRIAL, PROVISIONING_RECORD, SOURCES] {
            let reported =
                reported.iter().filter(|reported| reported.starts_with(&format!("{file} was damaged"))).count();
            assert_eq!(reported, 1, "{file}");
        }
        document::write(&host, b"hostname = \"a\"\n").unwrap();
        assert_eq!(Reader::default().read(&host).problems, []);
    }
}
