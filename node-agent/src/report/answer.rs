//! What is answered to a request, whoever carries it: the unix socket and the API ask here.

use anyhow::{Context, Result};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};

use super::{
    bundle, doctor, exec, images, inspect, logs,
    metrics::Source,
    reset,
    socket::{Answers, Asked, AskedPower, AskedSettings, HEARTBEAT, Image, Reply, Request},
};
use crate::{
    clients::{cri, cri::Cri, host::Host},
    power::model as power,
    settings::{
        model::{self as settings, FILE},
        observe,
    },
    update::model::{Event, Failure, Outcome, Progress},
};

/// Words of an operation that wait for a slow reader; more are left out, but for the last.
const WORDS: usize = 16;

/// The replies to a request, the last of which is the end. Dropping it cancels what closing the connection cancels.
pub type Replies = mpsc::Receiver<Reply>;

/// Answers `request`; `inputs` is what the client says after it.
///
/// # Errors
/// If the agent is ending.
pub async fn replies(request: Request, answers: &Answers, inputs: exec::Inputs) -> Result<Replies> {
    let (client, replies) = mpsc::channel(1);
    let reply = match request {
        Request::Status {} => Reply::Status(Box::new(answers.status.borrow().clone())),
        Request::Releases {} => Reply::Releases(answers.releases.borrow().clone()),
        Request::Settings {} => Reply::Settings(Box::new(answers.settings.borrow().clone())),
        Request::Metrics {} => Reply::Text(metrics(answers).text()),
        Request::Document {} => document(&answers.host).await.unwrap_or_else(error),
        Request::Images {} => list_images(&answers.host).await.unwrap_or_else(error),
        Request::Doctor {} => doctor::check(answers).await.map_or_else(error, Reply::Findings),
        Request::Reset { operation } => reset::reset(&answers.host, operation).await,
        Request::Inspect { subject } => {
            inspect::inspect(&answers.host, subject).await.map_or_else(error, Reply::Inspected)
        }
        Request::Logs(wanted) => {
            tokio::spawn(logs::send(answers.host.clone(), wanted, client));
            return Ok(replies);
        }
        Request::Image { operation } => {
            tokio::spawn(images::run(answers.host.clone(), operation, client));
            return Ok(replies);
        }
        Request::SupportBundle {} => {
            tokio::spawn(bundle::send(answers.clone(), client));
            return Ok(replies);
        }
        Request::Exec(wanted) => {
            tokio::spawn(exec::run(answers.host.clone(), wanted, inputs, client));
            return Ok(replies);
        }
        Request::Power(order) => {
            let (events, received) = mpsc::channel(WORDS);
            answers.asked_power.send(AskedPower { order, client: events }).await.context("the agent is ending")?;
            answers.changed.notify_one();
            tokio::spawn(follow_power(received, client));
            return Ok(replies);
        }
        Request::Shell(wanted) => {
            tokio::spawn(exec::shell::run(answers.clone(), wanted, inputs, client));
            return Ok(replies);
        }
        Request::Run { operation } => {
            let (events, received) = mpsc::channel(WORDS);
            answers.asked.send(Asked { command: operation, client: events }).await.context("the agent is ending")?;
            answers.changed.notify_one();
            tokio::spawn(follow(received, client));
            return Ok(replies);
        }
        Request::Change { operation } => {
            let (events, received) = mpsc::channel(WORDS);
            let asked = AskedSettings { command: operation, client: events };
            answers.asked_settings.send(asked).await.context("the agent is ending")?;
            answers.changed.notify_one();
            tokio::spawn(follow_settings(received, client));
            return Ok(replies);
        }
    };
    // There is room for it.
    client.send(reply).await.context("the agent is ending")?;
    Ok(replies)
}

fn error(error: anyhow::Error) -> Reply {
    Reply::Error(format!("{error:#}"))
}

/// The metrics.
pub(super) fn metrics(answers: &Answers) -> Source {
    let Answers { host, status, releases, .. } = answers;
    Source { host: host.clone(), status: status.clone(), releases: releases.clone() }
}

async fn document(host: &Host) -> Result<Reply> {
    let text = host.read("reading what was set on this node", |host| observe::read(host, FILE)).await?;
    let text = String::from_utf8(text.unwrap_or_default()).with_context(|| format!("{FILE} is no text in UTF-8"))?;
    Ok(Reply::Text(text))
}

async fn list_images(host: &Host) -> Result<Reply> {
    let doing = "asking the container runtime for its images";
    let cri = Cri::connect(&host.path(cri::SOCKET)).await.context(doing)?;
    let mut images: Vec<Image> = cri
        .images()
        .await
        .context(doing)?
        .into_iter()
        .map(|image| Image { id: image.id, names: image.references, size_bytes: image.size_bytes })
        .collect();
    images.sort_by(|one, other| one.names.cmp(&other.names));
    Ok(Reply::Images(images))
}

/// Tells how far going down is until its end, or until nobody listens any more.
async fn follow_power(mut events: mpsc::Receiver<power::Event>, client: mpsc::Sender<Reply>) {
    while !client.is_closed() {
        let event = tokio::select! {
            event = timeout(HEARTBEAT, events.recv()) => event,
            () = client.closed() => return,
        };
        let reply = match event {
            Err(_) => Reply::Working {},
            Ok(Some(power::Event::Progress(message))) => Reply::Line(message),
            Ok(Some(power::Event::Done(message))) => {
                return say(&client, Reply::Done(Outcome { message, changed: true, ..Outcome::default() })).await;
            }
            Ok(Some(power::Event::Failed(power::Failure { kind, message }))) => {
                return say(&client, Reply::Failed(Failure { kind, message })).await;
            }
            Ok(None) => return log::debug!("going down ended without a word"),
        };
        say(&client, reply).await;
    }
}

/// Reports an operation until its end, or until nobody listens any more.
async fn follow(mut events: mpsc::Receiver<Event>, client: mpsc::Sender<Reply>) {
    let mut last = Reply::Progress(Progress::default());
    loop {
        tokio::select! {
            event = events.recv() => match event {
                Some(Event::Progress(progress)) => last = Reply::Progress(progress),
                Some(Event::Done(outcome)) => return say(&client, Reply::Done(outcome)).await,
                Some(Event::Failed(failure)) => return say(&client, Reply::Failed(failure)).await,
                None => return log::debug!("an operation ended without a word"),
            },
            () = client.closed() => return,
            () = sleep(HEARTBEAT) => {}
        }
        say(&client, last.clone()).await;
    }
}

/// Reports a change of settings until its end.
async fn follow_settings(mut events: mpsc::Receiver<settings::Event>, client: mpsc::Sender<Reply>) {
    while !client.is_closed() {
        let reply = match timeout(HEARTBEAT, events.recv()).await {
            Err(_) => Reply::Working {},
            Ok(Some(settings::Event::Planned(planned))) => Reply::Planned(planned),
            Ok(Some(settings::Event::Done(outcome))) => return say(&client, Reply::Changed(outcome)).await,
            Ok(Some(settings::Event::Failed(failure))) => return say(&client, Reply::Unchanged(failure)).await,
            Ok(None) => return log::debug!("a change of settings ended without a word"),
        };
        say(&client, reply).await;
    }
}

/// That nobody listens any more is seen where the next word is waited for.
async fn say(client: &mpsc::Sender<Reply>, reply: Reply) {
    let _ = client.send(reply).await;
}

/// Whether closing the connection cancels what `request` asked for.
pub(super) fn is_cancelled_by_closing(request: &Request) -> bool {
    match request {
        Request::Run { .. }
        | Request::Power(_)
        | Request::Logs(_)
        | Request::Exec(_)
        | Request::Shell(_)
        | Request::SupportBundle {}
        | Request::Image { .. } => true,
        Request::Status {}
        | Request::Releases {}
        | Request::Settings {}
        | Request::Document {}
        | Request::Metrics {}
        | Request::Images {}
        | Request::Doctor {}
        | Request::Inspect { .. }
        | Request::Reset { .. }
        | Request::Change { .. } => false,
    }
}
