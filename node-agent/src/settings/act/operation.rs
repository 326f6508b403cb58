//! The operations themselves, each from top to bottom.

use anyhow::{Context, anyhow};
use tokio::sync::mpsc;

use super::{cloud, document, files, keep, units};
use crate::{
    clients::{host::Host, systemd::Systemd},
    settings::{
        look,
        model::{Change, Command, Event, Failure, Giver, Look, Outcome, Planned, Settings},
        observe::{self, Reader},
        plan,
    },
};

/// Does `command`, and tells `client` what will be different before anything is.
pub(super) async fn run(
    host: &Host,
    command: &Command,
    client: &mpsc::Sender<Event>,
    systemd: Option<&Systemd>,
) -> Result<Outcome, Failure> {
    match command {
        Command::Change(wanted) => change(host, wanted, client, systemd).await,
        Command::Confirm => confirm(host),
        Command::Refetch => refetch(host, systemd).await,
    }
}

async fn change(
    host: &Host,
    change: &Change,
    client: &mpsc::Sender<Event>,
    systemd: Option<&Systemd>,
) -> Result<Outcome, Failure> {
    let read = Reader::default().read(host);
    let draft = plan::draft(&read.documents, &change.edit, &observe::in_force(host))?;
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
    if observe::trial(host)?.is_some() {
        let message =
            "settings are on trial; ballast settings confirm keeps them, and at the trial's end they are taken back";
        return Err(Failure::busy(message));
    }
    if let Some(secs) = change.try_secs {
        document::begin(host, secs)?;
    }
    if let Err(error) = document::write(host, draft.text.as_bytes()) {
        // There is nothing to take back then.
        document::confirm(host).unwrap_or_else(|error| log::warn!("{error:#}"));
        return Err(error.into());
    }
    made(host, &draft.settings, systemd).await.context("the settings are written, but not all of them hold")?;
    let message = match change.try_secs {
        Some(secs) => {
            format!("the settings are changed, and taken back after {secs} s unless ballast settings confirm comes")
        }
        None => "the settings are changed".to_owned(),
    };
    let then = if planned.needs.reboot { "; kernel.arguments hold from the next boot on" } else { "" };
    Ok(Outcome { trial_s: change.try_secs, ..done(format!("{message}{then}")) })
}

fn confirm(host: &Host) -> Result<Outcome, Failure> {
    // One that cannot be read ends this way, too.
    if matches!(observe::trial(host), Ok(None)) {
        return Ok(Outcome { message: "no settings are on trial; nothing to do".to_owned(), ..Outcome::default() });
    }
    document::confirm(host)?;
    let message = "the settings that were on trial stay".to_owned();
    Ok(Outcome { message, changed: true, ..Outcome::default() })
}

/// Asks all again that the first boot asked; of volumes only the one that it used. What is not there any more is kept as it was: a volume may
/// be taken out after it.
async fn refetch(host: &Host, systemd: Option<&Systemd>) -> Result<Outcome, Failure> {
    let before = Reader::default().read(host);
    let mut looks = Vec::new();
    let mut told = Vec::new();
    for giver in [Giver::Credential, Giver::Volume, Giver::Esp] {
        let found = look::look_again(host, giver, before.account.looked.get(&giver)).await;
        told.push(found.what.clone());
        let has_failed = |look: &Look| look.failed;
        if !found.given.is_empty() {
            keep::keep(host, giver, &found.given)?;
            looks.push((giver, found.look()));
        } else if found.failed || before.account.looked.get(&giver).is_some_and(has_failed) {
            let had_some = before.account.looked.get(&giver).is_some_and(|look| look.found);
            looks.push((giver, Look { found: had_some, ..found.look() }));
        }
    }
    if let Some(service) = cloud::service(host) {
        match cloud::ask(service).await {
            Ok(found) if found.given.is_empty() => told.push(found.what),
            Ok(found) if found.failed => {
                keep::add(host, Giver::Metadata, &found.given)?;
                told.push(found.what);
            }
            Ok(found) => {
                keep::keep(host, Giver::Metadata, &found.given)?;
                looks.push((Giver::Metadata, found.look()));
                told.push(found.what);
            }
            Err(error) => told.push(format!("{error:#}")),
        }
    }
    keep::note(host, looks)?;
    let now = Reader::default().read(host);
    made(host, &now.settings, systemd).await?;
    let message = told.join("; ");
    Ok(Outcome { message, changed: before.documents != now.documents, ..Outcome::default() })
}

/// Makes `settings` hold, whoever changed them.
pub(super) async fn hold(host: &Host, settings: &Settings, systemd: Option<&Systemd>) -> Result<Outcome, Failure> {
    made(host, settings, systemd).await?;
    Ok(Outcome { message: "they hold".to_owned(), ..Outcome::default() })
}

/// Takes a trial back.
pub(super) async fn revert(host: &Host, systemd: Option<&Systemd>) -> Result<Outcome, Failure> {
    document::revert(host)?;
    let read = Reader::default().read(host);
    made(host, &read.settings, systemd).await?;
    let message = "nobody confirmed those on trial; what was before holds again".to_owned();
    Ok(Outcome { message, changed: true, planned: Planned::default(), trial_s: None })
}

/// The units are told of the files that could be written, whatever became of the others.
async fn made(host: &Host, settings: &Settings, systemd: Option<&Systemd>) -> anyhow::Result<()> {
    let brought = files::bring(host, settings)?;
    let told = match units::refresh(systemd, &brought.left.owed).await {
        Ok(()) => files::told(host, &brought),
        Err(error) => Err(error),
    };
    match (brought.done(), told) {
        (Err(files), Err(units)) => Err(anyhow!("{files:#}; {units:#}")),
        (files, units) => files.and(units),
    }
}
