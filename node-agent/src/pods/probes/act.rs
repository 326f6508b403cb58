//! Asks what is due, in one task for all pods; there is none while no container has a probe.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep_until},
};

use super::{
    model::{Answer, Check, HttpGet, Kind, Probe, Probes, Verdict},
    plan::Watch,
};
use crate::{
    clients::{
        cri::{Cri, Executed},
        probe,
    },
    pods::model::Key,
};

/// A longer answer fills a screen, and the status carries it along.
const MAX_MESSAGE: usize = 256;

/// Nothing is due: an event comes first, or this passes in vain.
const IDLE: Duration = Duration::from_secs(3600);

/// A running container with probes.
#[derive(Debug, Clone)]
pub struct Target<'a> {
    /// Its pod.
    pub key: &'a Key,
    /// Its name.
    pub container: &'a str,
    /// This run of it, by the runtime's id.
    pub id: &'a str,
    /// What is asked of it.
    pub probes: &'a Probes,
    /// Where its pod is reached; empty if nobody knows.
    pub address: &'a str,
    /// How long it has run.
    pub ran: Duration,
}

/// The probes of all containers that run.
#[derive(Debug)]
pub struct Prober {
    state: Arc<Mutex<State>>,
    /// Something was added or removed.
    wake: Arc<Notify>,
    changed: Arc<Notify>,
    task: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    begun: Instant,
    /// By the id of the run.
    watched: BTreeMap<String, Watched>,
    cri: Option<Cri>,
}

#[derive(Debug)]
struct Watched {
    name: Arc<str>,
    address: String,
    watch: Watch,
    /// What was last reported of a probe that could not be asked.
    unknown: String,
}

/// A question that is due.
struct Question {
    id: String,
    kind: Kind,
    probe: Probe,
    address: String,
    cri: Option<Cri>,
}

impl Prober {
    /// No probes yet. A verdict that changes wakes `changed`.
    pub fn new(changed: Arc<Notify>) -> Self {
        let state = State { begun: Instant::now(), watched: BTreeMap::new(), cri: None };
        Self { state: Arc::new(Mutex::new(state)), wake: Arc::default(), changed, task: None }
    }

    /// From now on these are asked and no others; what is known of those that were asked before is kept.
    pub fn keep(&mut self, targets: &[Target<'_>], cri: &Cri) {
        if targets.is_empty() {
            if let Some(task) = self.task.take() {
                task.abort();
                *lock(&self.state) = State { begun: Instant::now(), watched: BTreeMap::new(), cri: None };
            }
            return;
        }
        {
            let mut state = lock(&self.state);
            let now = state.begun.elapsed();
            state.watched.retain(|id, _| targets.iter().any(|target| target.id == id));
            for target in targets {
                if let Some(known) = state.watched.get_mut(target.id) {
                    target.address.clone_into(&mut known.address);
                    continue;
                }
                let watched = Watched {
                    name: format!("pod {}: container {}", target.key, target.container).into(),
                    address: target.address.to_owned(),
                    watch: Watch::new(target.probes.clone(), now, target.ran, crc32fast::hash(target.id.as_bytes())),
                    unknown: String::new(),
                };
                state.watched.insert(target.id.to_owned(), watched);
            }
            state.cri = Some(cri.clone());
        }
        if self.task.as_ref().is_none_or(JoinHandle::is_finished) {
            let (state, wake, changed) = (Arc::clone(&self.state), Arc::clone(&self.wake), Arc::clone(&self.changed));
            self.task = Some(tokio::spawn(ask_for_ever(state, wake, changed)));
        }
        self.wake.notify_one();
    }

    /// What the probes say by now, by the id of the run.
    pub fn verdicts(&self) -> BTreeMap<String, Verdict> {
        lock(&self.state).watched.iter().map(|(id, one)| (id.clone(), one.watch.verdict())).collect()
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// Nobody panics while holding it.
fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn ask_for_ever(state: Arc<Mutex<State>>, wake: Arc<Notify>, changed: Arc<Notify>) {
    let mut asked: FuturesUnordered<BoxFuture<'static, (String, Kind, Answer)>> = FuturesUnordered::new();
    loop {
        let (due, next) = lock(&state).due();
        asked.extend(due.into_iter().map(|question| -> BoxFuture<'static, _> {
            Box::pin(async move {
                let answer = question.ask().await;
                (question.id, question.kind, answer)
            })
        }));
        tokio::select! {
            Some((id, kind, answer)) = asked.next() => {
                if lock(&state).note(&id, kind, &answer) {
                    changed.notify_one();
                }
            }
            () = wake.notified() => {}
            () = sleep_until(next) => {}
        }
    }
}

impl State {
    /// What is due now, and when the next will be.
    fn due(&mut self) -> (Vec<Question>, Instant) {
        let now = self.begun.elapsed();
        let mut due = Vec::new();
        for (id, one) in &mut self.watched {
            for kind in one.watch.take_due(now) {
                let Some(probe) = one.watch.probe(kind).cloned() else { continue };
                due.push(Question { id: id.clone(), kind, probe, address: one.address.clone(), cri: self.cri.clone() });
            }
        }
        let next = self.watched.values().filter_map(|one| one.watch.next_at()).min();
        (due, self.begun + next.unwrap_or(now + IDLE))
    }

    /// Takes note of an answer; says whether it changes anything.
    fn note(&mut self, id: &str, kind: Kind, answer: &Answer) -> bool {
        // It may have ended meanwhile.
        let Some(one) = self.watched.get_mut(id) else { return false };
        let before = one.watch.verdict();
        one.watch.note(kind, answer);
        let after = one.watch.verdict();
        let name = &one.name;
        match answer {
            Answer::Success => one.unknown.clear(),
            Answer::Failure(message) => log::debug!("{name}: {kind}: {message}"),
            Answer::Unknown(message) => {
                let message = format!("{kind} could not be asked: {message}");
                if one.unknown != message {
                    log::warn!("{name}: {message}");
                    one.unknown = message;
                }
            }
        }
        if let (None, Some(failed)) = (&before.failed, &after.failed) {
            log::warn!("{name}: {} failed: {}", failed.kind, failed.message);
        }
        match (before.is_ready, after.is_ready) {
            (false, true) => log::info!("{name}: is ready"),
            (true, false) => log::warn!("{name}: is not ready: {}", after.unready.as_deref().unwrap_or_default()),
            (_, _) => {}
        }
        before != after
    }
}

impl Question {
    async fn ask(&self) -> Answer {
        let limit = self.probe.timeout;
        let here = |host: &Option<String>| host.clone().unwrap_or_else(|| self.address.clone());
        let asked = match &self.probe.check {
            Check::Exec { command } => return self.execute(command, limit).await,
            Check::Http(get) => page(get, &self.address, limit).await,
            Check::Tcp { host, port } => probe::connects(&here(host), *port, limit).await,
            Check::Grpc { port, service } => probe::serves(&self.address, *port, service, limit).await,
        };
        match asked {
            Ok(()) => Answer::Success,
            Err(error) => Answer::Failure(short(&format!("{error:#}"))),
        }
    }

    /// A command that cannot be started says nothing of the container (so does the kubelet): its runtime may be in trouble.
    async fn execute(&self, command: &[String], limit: Duration) -> Answer {
        let Some(cri) = &self.cri else { return Answer::Unknown("there is no runtime".to_owned()) };
        match cri.exec(&self.id, command, limit).await {
            Ok(Executed::Ended { exit_code: 0, .. }) => Answer::Success,
            Ok(Executed::Ended { exit_code, output }) => {
                let output = short(&output);
                let colon = if output.is_empty() { "" } else { ": " };
                Answer::Failure(format!("status {exit_code}{colon}{output}"))
            }
            Ok(Executed::TooLate) => Answer::Failure(format!("not done within {} s", limit.as_secs())),
            Err(error) => Answer::Unknown(short(&error.to_string())),
        }
    }
}

/// Asks for a page of the pod at `address`.
///
/// # Errors
/// As [`probe::get`].
pub(in crate::pods) async fn page(get: &HttpGet, address: &str, limit: Duration) -> anyhow::Result<()> {
    let HttpGet { is_https, host, port, path, headers } = get;
    let host = host.as_deref().unwrap_or(address);
    probe::get(&probe::Get { is_https: *is_https, host, port: *port, path, headers }, limit).await
}

/// One line of limited length, without what a terminal would obey.
pub(in crate::pods) fn short(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line: String = line.chars().filter(|letter| !letter.is_control()).collect();
    match line.char_indices().nth(MAX_MESSAGE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_short_line() {
        assert_eq!(short(" a\n\tb \x1b[31mc\n"), "a b [31mc");
        assert_eq!(short(&"ä".repeat(999)), format!("{}…", "ä".repeat(256)));
    }
}
