//! The operations themselves, each from top to bottom.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use tokio::sync::mpsc;

use super::{cloud, document, files, keep, sysctls, units};
use crate::{
    clients::{host::Host, systemd::Systemd},
    settings::{
        model::{Change, Command, Event, Failure, Outcome, Planned, Probe, Read, Settings, SourceKind},
        observe::{self, Reader},
        plan, probe,
    },
};

const READING: &str = "reading the settings";
const KEEPING: &str = "keeping what this machine was given";

async fn read(host: &Host) -> anyhow::Result<Arc<Read>> {
    host.read(READING, |host| Ok(Reader::default().read(host))).await
}

/// Does `command`, and shows `client` what will be different before anything is.
pub(super) async fn run(
    host: &Host,
    command: &Command,
    client: &mpsc::Sender<Event>,
    systemd: Option<&Systemd>,
) -> Result<Outcome, Failure> {
    match command {
        Command::Change(wanted) => change(host, wanted, client, systemd).await,
        Command::Confirm => confirm(host).await,
        Command::Refetch => refetch(host, systemd).await,
    }
}

async fn change(
    host: &Host,
    change: &Change,
    client: &mpsc::Sender<Event>,
    systemd: Option<&Systemd>,
) -> Result<Outcome, Failure> {
    let (read, written) =
        host.read(READING, |host| Ok((Reader::default().read(host), observe::written(host)?))).await?;
    let draft = plan::draft(&read.documents, &change.edit, &written)?;
    let planned = draft.planned;
    // They may have gone away; what they asked for is done all the same.
    let _ = client.send(Event::Planned(planned.clone())).await;
    let done = |message: String| Outcome { message, changed: draft.changed, planned: planned.clone(), trial_s: None };
    if !draft.changed {
        return Ok(done("the settings are so already; nothing to do".to_owned()));
    }
    if change.dry_run {
        return Ok(done("a dry run: nothing is changed".to_owned()));
    }
    if host.read(READING, observe::trial).await?.is_some() {
        let message =
            "settings are on trial; ballast settings confirm keeps them, and at the trial's end they are taken back";
        return Err(Failure::busy(message));
    }
    let (text, try_secs) = (draft.text.clone(), change.try_secs);
    host.change("writing the settings", move |host| begin(host, &text, try_secs)).await?;
    made(host, &draft.settings, systemd).await.context("the settings are written, but not all of them hold")?;
    let message = match change.try_secs {
        Some(secs) => {
            format!("the settings are changed, and taken back after {secs} s unless ballast settings confirm comes")
        }
        None => "the settings are changed".to_owned(),
    };
    let then = if planned.needs.reboot { "; some of it holds from the next boot on" } else { "" };
    Ok(Outcome { trial_s: change.try_secs, ..done(format!("{message}{then}")) })
}

/// Writes the operator's document; on trial, if there is a time for it.
fn begin(host: &Host, text: &str, try_secs: Option<u64>) -> anyhow::Result<()> {
    if let Some(secs) = try_secs {
        document::begin(host, secs)?;
    }
    document::write(host, text.as_bytes()).inspect_err(|_| {
        // There is nothing to take back then.
        document::confirm(host).unwrap_or_else(|error| log::warn!("{error:#}"));
    })
}

async fn confirm(host: &Host) -> Result<Outcome, Failure> {
    let confirm = |host: &Host| {
        // One that cannot be read ends this way, too.
        let is_there = !matches!(observe::trial(host), Ok(None));
        if is_there {
            document::confirm(host)?;
        }
        Ok(is_there)
    };
    if !host.change("ending the trial of settings", confirm).await? {
        return Ok(Outcome { message: "no settings are on trial; nothing to do".to_owned(), ..Outcome::default() });
    }
    let message = "the settings that were on trial stay".to_owned();
    Ok(Outcome { message, changed: true, ..Outcome::default() })
}

/// Asks all again that the first boot asked; of volumes only the one that it used. What is not there any more is kept as it was: a volume may
/// be taken out after it.
async fn refetch(host: &Host, systemd: Option<&Systemd>) -> Result<Outcome, Failure> {
    let before = read(host).await?;
    let mut probes = Vec::new();
    let mut reported = Vec::new();
    for source in [SourceKind::Credential, SourceKind::Volume, SourceKind::Esp] {
        let found = probe::probe_again(host, source, before.record.probed.get(&source)).await;
        reported.push(found.what.clone());
        let has_failed = |probe: &Probe| probe.failed;
        if !found.given.is_empty() {
            let given = found.given.clone();
            host.change(KEEPING, move |host| keep::keep(host, source, &given)).await?;
            probes.push((source, found.probe()));
        } else if found.was_asked && (found.failed || before.record.probed.get(&source).is_some_and(has_failed)) {
            let had_some = before.record.probed.get(&source).is_some_and(|probe| probe.found);
            probes.push((source, Probe { found: had_some, ..found.probe() }));
        }
    }
    if let Some(service) = cloud::service(host) {
        match cloud::ask(service).await {
            Ok(found) if found.given.is_empty() => reported.push(found.what),
            Ok(found) if found.failed => {
                let given = found.given;
                host.change(KEEPING, move |host| keep::add(host, SourceKind::Metadata, &given)).await?;
                reported.push(found.what);
            }
            Ok(found) => {
                probes.push((SourceKind::Metadata, found.probe()));
                reported.push(found.what.clone());
                let given = found.given;
                host.change(KEEPING, move |host| keep::keep(host, SourceKind::Metadata, &given)).await?;
            }
            Err(error) => reported.push(format!("{error:#}")),
        }
    }
    host.change(KEEPING, |host| keep::note(host, probes)).await?;
    let now = read(host).await?;
    made(host, &now.settings, systemd).await?;
    let message = reported.join("; ");
    Ok(Outcome { message, changed: before.documents != now.documents, ..Outcome::default() })
}

/// Applies `settings`, whoever changed them.
pub(super) async fn hold(host: &Host, settings: &Settings, systemd: Option<&Systemd>) -> Result<Outcome, Failure> {
    made(host, settings, systemd).await?;
    Ok(Outcome { message: "they hold".to_owned(), ..Outcome::default() })
}

/// Takes a trial back.
pub(super) async fn revert(host: &Host, systemd: Option<&Systemd>) -> Result<Outcome, Failure> {
    host.change("taking back the settings on trial", document::revert).await?;
    let read = read(host).await?;
    made(host, &read.settings, systemd).await?;
    let message = "nobody confirmed those on trial; what was before holds again".to_owned();
    Ok(Outcome { message, changed: true, planned: Planned::default(), trial_s: None })
}

/// Reloads and restarts the units whose files could be written, whatever became of the others.
async fn made(host: &Host, settings: &Settings, systemd: Option<&Systemd>) -> anyhow::Result<()> {
    let wanted = settings.clone();
    let doing = "writing what the settings say";
    let applied = host.change(doing, move |host| files::bring(host, &wanted)).await?;
    let done = applied.done();
    let reported = match units::refresh(systemd, &applied.written.pending).await {
        Ok(()) => host.change(doing, move |host| files::reported(host, &applied)).await,
        Err(error) => Err(error),
    };
    let loaded = sysctls::load_modules(host, &settings.kernel, systemd).await;
    let failures: Vec<String> =
        [done, reported, loaded].into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
    if failures.is_empty() { Ok(()) } else { Err(anyhow!("{}", failures.join("; "))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failure_stays_known_if_refetch_asked_nobody() {
        let tree = tempfile::tempdir().unwrap();
        let host = Host::new(tree.path());
        // Of a release that did not write down which volume it was.
        let failed = Probe { at: 1, found: false, what: "it has a bad sector".to_owned(), failed: true, volume: None };
        keep::note(&host, vec![(SourceKind::Volume, failed.clone())]).unwrap();
        let outcome = refetch(&host, None).await.unwrap();
        assert!(outcome.message.contains("it was not written down which volume"), "{}", outcome.message);
        let record = &read(&host).await.unwrap().record;
        assert_eq!(record.probed.get(&SourceKind::Volume), Some(&failed));
    }
}
