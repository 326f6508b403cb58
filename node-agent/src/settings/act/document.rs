//! The operator's document, and its trials. Each step may be cut off by a power cut: what is there then is the old document, or the
//! new one with all that takes it back.

use std::io::ErrorKind;

use anyhow::{Context, Result};

use crate::{
    clients::{host::Host, store},
    settings::{
        model::{FILE, Trial},
        observe::{self, BEFORE, TRIAL, UNTIL},
    },
};

/// Makes `text` the operator's document. One that says nothing is no file: the next boot has nothing to read then.
///
/// # Errors
/// If it cannot be written; the old one is there then.
pub fn write(host: &Host, text: &[u8]) -> Result<()> {
    let file = host.path(FILE);
    if text.trim_ascii().is_empty() { store::remove(&file) } else { store::write(&file, text) }
}

/// Begins a trial of `secs` seconds: notes what there is now. The new document is written after it.
///
/// # Errors
/// If that cannot be written; there is no trial then.
pub fn begin(host: &Host, secs: u64) -> Result<()> {
    let doing = "noting what the settings are before the trial";
    let now = observe::read(host, FILE).with_context(|| format!("{FILE} cannot be kept for the trial's end"))?;
    store::write(&host.path(BEFORE), &now.unwrap_or_default()).context(doing)?;
    let trial = Trial { secs, boots: 0 };
    note_end(host, &trial).context(doing)?;
    note(host, &trial).context(doing)
}

/// Notes when `trial` ends in this boot, if that is not known, and returns it.
///
/// # Errors
/// If it cannot be written.
pub fn note_end(host: &Host, trial: &Trial) -> Result<u64> {
    let (_, uptime) = observe::trial_times(host)?;
    let until = uptime.as_secs().saturating_add(trial.secs);
    store::write(&host.path(UNTIL), format!("{until}\n").as_bytes())?;
    Ok(until)
}

/// Notes `trial` itself.
///
/// # Errors
/// If it cannot be written.
pub fn note(host: &Host, trial: &Trial) -> Result<()> {
    store::write(&host.path(TRIAL), &serde_json::to_vec(trial).context("encoding the trial")?)
}

/// Ends the trial: what is there stays.
///
/// # Errors
/// If it cannot be ended.
pub fn confirm(host: &Host) -> Result<()> {
    for file in [TRIAL, BEFORE, UNTIL] {
        store::remove(&host.path(file))?;
    }
    Ok(())
}

/// Ends the trial: what was there before comes back, also where the disk has no room.
///
/// # Errors
/// If that cannot be done; the trial is still there then.
pub fn revert(host: &Host) -> Result<()> {
    let (before, file) = (host.path(BEFORE), host.path(FILE));
    match before.metadata() {
        // It was written before the trial began: it is back already, and what is there is the operator's.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        found => match found.with_context(|| format!("reading {BEFORE}"))?.len() {
            // There was no document.
            0 => store::remove(&file)?,
            _ => store::rename(&before, &file)?,
        },
    }
    confirm(host)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn node() -> (tempfile::TempDir, Host) {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        fs::create_dir_all(host.path("/proc")).unwrap();
        fs::write(host.path("/proc/uptime"), "100.00 1.00\n").unwrap();
        fs::write(host.path("/proc/stat"), "cpu 1 1 1 1 1\ncpu0 1 1 1 1 1\n").unwrap();
        (tree, host)
    }

    #[test]
    fn f08_what_was_before_comes_back() {
        let (_tree, host) = node();
        for before in [None, Some("hostname = \"a\"\n")] {
            write(&host, before.unwrap_or_default().as_bytes()).unwrap();
            begin(&host, 300).unwrap();
            write(&host, b"hostname = \"b\"\n").unwrap();
            assert_eq!(observe::trial(&host).unwrap(), Some(Trial { secs: 300, boots: 0 }));
            assert_eq!(observe::trial_times(&host).unwrap().0.unwrap().as_secs(), 400);
            revert(&host).unwrap();
            assert_eq!(fs::read_to_string(host.path(FILE)).ok().as_deref(), before);
            assert_eq!(observe::trial(&host).unwrap(), None);
            assert!(!host.path(BEFORE).exists() && !host.path(UNTIL).exists());
        }
    }

    #[test]
    fn f08_a_disk_without_room_keeps_no_trial() {
        let (_tree, host) = node();
        write(&host, b"hostname = \"a\"\n").unwrap();
        begin(&host, 300).unwrap();
        write(&host, b"hostname = \"b\"\n").unwrap();
        // In the place of a disk that is full: no file can be written beside these.
        for file in [FILE, BEFORE] {
            std::os::unix::fs::symlink("/no/such/folder/x", host.path(format!("{file}.part"))).unwrap();
        }
        assert!(write(&host, b"hostname = \"c\"\n").is_err());
        revert(&host).unwrap();
        assert_eq!(fs::read_to_string(host.path(FILE)).unwrap(), "hostname = \"a\"\n");
        assert_eq!(observe::trial(&host).unwrap(), None);
    }

    #[test]
    fn f08_what_is_back_already_stays() {
        let (_tree, host) = node();
        write(&host, b"hostname = \"a\"\n").unwrap();
        begin(&host, 300).unwrap();
        // As the power left it, between the one and the other.
        store::rename(&host.path(BEFORE), &host.path(FILE)).unwrap();
        revert(&host).unwrap();
        assert_eq!(fs::read_to_string(host.path(FILE)).unwrap(), "hostname = \"a\"\n");
        assert_eq!(observe::trial(&host).unwrap(), None);
    }

    #[test]
    fn what_is_confirmed_stays() {
        let (_tree, host) = node();
        begin(&host, 300).unwrap();
        write(&host, b"hostname = \"b\"\n").unwrap();
        confirm(&host).unwrap();
        assert_eq!(fs::read_to_string(host.path(FILE)).unwrap(), "hostname = \"b\"\n");
        assert_eq!(observe::trial(&host).unwrap(), None);
    }
}
