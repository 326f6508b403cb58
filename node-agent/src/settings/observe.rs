//! Reads what there is of settings: the operator's document, what the first boot found, a trial.

use std::{
    fs::File,
    io::{ErrorKind, Read as _},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use ballast_settings::{Kind, MAX_BYTES, Outcome, Rank, Source};

use super::model::{Document, FILE, Problem, ProvisioningRecord, Read, SOURCES, SourceKind, Trial, Written, rank_name};
use crate::clients::{host::Host, proc, store};

/// Where systemd puts what the machine was given (systemd.system-credentials(7)).
pub const CREDENTIAL: &str = "/run/credentials/@system/ballast.settings";

/// Who was asked for settings at the first boot.
pub const PROVISIONING_RECORD: &str = "/var/lib/ballast/sources.json";

/// The trial that runs.
pub const TRIAL: &str = "/var/lib/ballast/settings.trial.json";

/// What the operator's document was before the trial.
pub const BEFORE: &str = "/var/lib/ballast/settings.before.toml";

/// The kernel's uptime in seconds at which the trial ends, in this boot: a clock that is set gains nothing, nor does an agent that is
/// restarted.
pub const UNTIL: &str = "/run/ballast/settings-until";

/// What was written to the files that others read: to know later which of those are ours to remove. In /run: a boot begins with nothing of it.
pub const WRITTEN: &str = "/run/ballast/settings-written.json";

/// Keeps what was read last: as long as all sources are the same, they mean the same.
#[derive(Debug, Default)]
pub struct Reader {
    last: Option<(Observed, Arc<Read>)>,
}

/// What lies there, before anybody knows what it means.
#[derive(Debug, Clone, PartialEq)]
struct Observed {
    documents: Vec<Document>,
    problems: Vec<Problem>,
    record: ProvisioningRecord,
}

impl Reader {
    /// What there is now; the very same as last time, if nothing is different.
    pub fn read(&mut self, host: &Host) -> Arc<Read> {
        let record = record(host);
        // What cannot be read was written when it was asked.
        let is_kept = record.as_ref().map_or(true, |record| record.has(SourceKind::Credential));
        let (documents, mut problems) = documents(host, is_kept);
        let record = record.unwrap_or_else(|error| {
            problems.push(unreadable(PROVISIONING_RECORD, format!("{error:#}")));
            ProvisioningRecord::default()
        });
        problems.extend(record.probed.iter().filter(|(_, probe)| probe.failed).map(|(source, probe)| {
            let again = "no boot looks for it again; ballast settings refetch does";
            unreadable(rank_name(source.rank()), format!("not all of it could be read: {}; {again}", probe.what))
        }));
        let observed = Observed { documents, problems, record };
        match &self.last {
            Some((same, read)) if *same == observed => Arc::clone(read),
            Some(_) | None => {
                let read = Arc::new(understand(observed.clone()));
                self.last = Some((observed, Arc::clone(&read)));
                read
            }
        }
    }
}

fn understand(observed: Observed) -> Read {
    let Observed { documents, mut problems, record } = observed;
    let sources: Vec<Source<'_>> = documents.iter().map(Document::source).collect();
    let Outcome { settings, problems: found, notes, origins } = ballast_settings::read(&sources);
    problems.extend(found);
    Read { documents, settings, problems, notes, origins, record }
}

/// The sources that are there, who counts most first, and what cannot be read. `is_kept` says whether the first boot's credential is kept
/// by now, if there was one.
fn documents(host: &Host, is_kept: bool) -> (Vec<Document>, Vec<Problem>) {
    let mut all = Vec::new();
    let mut problems = Vec::new();
    let mut take = |path: &str, name: String, rank: Rank, kind: Kind| match read(host, path) {
        Ok(Some(bytes)) => all.push(Document { name, rank, kind, bytes }),
        Ok(None) => {}
        Err(error) => problems.push(unreadable(path, format!("{error:#}; no setting of it applies"))),
    };
    take(FILE, FILE.to_owned(), Rank::Node, Kind::Settings);
    // Most nodes have none.
    let sources = if host.path(SOURCES).is_dir() { &SourceKind::ALL[..] } else { &[SourceKind::Credential] };
    for &source in sources {
        for kind in Kind::ALL {
            take(&place(host, source, kind, is_kept), source.name(kind), source.rank(), kind);
        }
    }
    (all, problems)
}

/// Where that is read which `source` gave: where it is kept. The first boot keeps a credential when it is READY and there is time for
/// writing to the disk; until then it counts where systemd has put it.
fn place(host: &Host, source: SourceKind, kind: Kind, is_kept: bool) -> String {
    let kept = format!("{SOURCES}/{}", source.file(kind));
    let given = source == SourceKind::Credential && kind == Kind::Settings;
    if given && !is_kept && !host.path(&kept).exists() { credential() } else { kept }
}

/// Where the credential is. systemd hides that of the machine from a service with a mount namespace, which imports it to a folder of its
/// own (systemd.exec(5), `ImportCredential=`).
pub fn credential() -> String {
    match std::env::var("CREDENTIALS_DIRECTORY") {
        Ok(folder) => format!("{folder}/ballast.settings"),
        Err(_) => CREDENTIAL.to_owned(),
    }
}

/// What is in `path`, at most one byte more than a source may have: so that it shows.
///
/// # Errors
/// If it is there and cannot be read, or is no regular file.
pub fn read(host: &Host, path: &str) -> Result<Option<Vec<u8>>> {
    let path = host.path(path);
    let doing = "reading it";
    let metadata = match path.metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        metadata => metadata.context(doing)?,
    };
    // A pipe would make the agent wait for whoever writes to it.
    if !metadata.is_file() {
        bail!("it is not a regular file, expected one");
    }
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)).context(doing)?;
    Ok(Some(bytes))
}

/// Who was asked at the first boot; nobody on a node that has had none.
///
/// # Errors
/// If the record is there and cannot be read.
pub fn record(host: &Host) -> Result<ProvisioningRecord> {
    match store::read(&host.path(PROVISIONING_RECORD))? {
        None => Ok(ProvisioningRecord::default()),
        Some(text) => serde_json::from_slice(&text).with_context(|| format!("reading {PROVISIONING_RECORD}")),
    }
}

/// The trial that runs, if one does.
///
/// # Errors
/// If it cannot be read.
pub fn trial(host: &Host) -> Result<Option<Trial>> {
    let Some(text) = store::read(&host.path(TRIAL))? else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).with_context(|| format!("reading {TRIAL}"))
}

/// When the trial ends in this boot, as the kernel's uptime, if that is known yet; and the uptime of now.
///
/// # Errors
/// If /proc cannot be read.
pub fn trial_times(host: &Host) -> Result<(Option<Duration>, Duration)> {
    let text = store::read(&host.path(UNTIL))?.unwrap_or_default();
    let secs = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok());
    Ok((secs.map(Duration::from_secs), Duration::from_micros(proc::cpu_time(host)?.uptime_us)))
}

/// What the settings wrote in this boot; nothing, if they wrote nothing.
///
/// # Errors
/// If that cannot be read: nobody knows then which files are ours.
pub fn written(host: &Host) -> Result<Written> {
    let Some(text) = store::read(&host.path(WRITTEN))? else { return Ok(Written::default()) };
    serde_json::from_slice(&text).with_context(|| format!("reading {WRITTEN}, which the next boot begins anew"))
}

fn unreadable(file: &str, what: String) -> Problem {
    Problem { file: file.to_owned(), place: None, key: None, what, expected: String::new() }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::settings::model::Settings;

    #[test]
    fn a_file_that_cannot_be_read_is_named_and_nothing_applies() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        let path = host.path(FILE);
        let mut reader = Reader::default();
        let first = reader.read(&host);
        assert_eq!((&first.settings, first.problems.len()), (&Settings::default(), 0));
        assert!(Arc::ptr_eq(&first, &reader.read(&host)));

        fs::create_dir_all(&path).unwrap();
        let mut reported = || reader.read(&host).problems.iter().map(Problem::to_string).collect::<Vec<_>>();
        assert_eq!(reported(), [format!("{FILE}: it is not a regular file, expected one; no setting of it applies")]);

        fs::remove_dir(&path).unwrap();
        fs::write(&path, vec![b'#'; 300 * 1024]).unwrap();
        assert_eq!(reported(), [format!("{FILE}: it has more than 256 KiB; nothing in it applies")]);

        fs::write(&path, "[update]\nauto = true\n").unwrap();
        let read = reader.read(&host);
        assert_eq!((read.settings.update.auto, read.problems.len()), (true, 0));
    }

    #[test]
    fn what_the_first_boot_could_not_read_is_reported() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        fs::create_dir_all(host.path("/var/lib/ballast")).unwrap();
        let probe = |failed| format!(r#"{{"at": 1, "found": false, "what": "CIDATA: a reason"{failed}}}"#);
        for (failed, count) in [("", 0), (r#", "failed": true"#, 1)] {
            fs::write(host.path(PROVISIONING_RECORD), format!(r#"{{"probed": {{"volume": {}}}}}"#, probe(failed)))
                .unwrap();
            let reported: Vec<String> = Reader::default().read(&host).problems.iter().map(Problem::to_string).collect();
            assert_eq!(reported.len(), count, "{reported:?}");
            let is_whole = |reported: &String| {
                reported.starts_with("volume: ")
                    && reported.contains("CIDATA: a reason")
                    && reported.contains("refetch")
            };
            assert!(reported.iter().all(is_whole), "{reported:?}");
        }
    }

    #[test]
    fn f04_what_is_nearer_to_the_operator_counts_more() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        let mut names = Vec::new();
        for (file, level) in [("metadata", "trace"), ("esp", "debug"), ("volume", "warn"), ("credential", "error")] {
            let path = host.path(format!("{SOURCES}/{file}"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, format!("log.level = \"{level}\"\n")).unwrap();
            let read = Reader::default().read(&host);
            assert_eq!(read.settings.log.level.name(), level);
            names = read.documents.iter().map(|document| document.name.clone()).collect();
        }
        assert_eq!(names, ["credential ballast.settings", "volume user-data", "/efi/ballast.toml", "cloud user-data"]);
        fs::write(host.path(format!("{SOURCES}/metadata.hostname")), "from-the-cloud\n").unwrap();
        fs::write(host.path(FILE), "log.level = \"info\"\n").unwrap();
        let read = Reader::default().read(&host);
        assert_eq!((read.settings.log.level.name(), read.documents.len()), ("info", 6));
        assert_eq!(read.settings.hostname.as_ref().unwrap().as_str(), "from-the-cloud");
    }
}
