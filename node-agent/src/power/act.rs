//! Takes orders to go down, keeps what is scheduled, and goes on with what has begun, a phase after the other.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use ballast_settings::values::duration_text;
use ballast_types::{FailureKind, GoingDown};
use tokio::sync::{Notify, mpsc};

use super::{
    model::{Action, Event, Failure, Order, Phase, Pods, Scheduled, Seen, Step, Underway},
    plan,
};
use crate::clients::{clock, host::Host, store, systemd};

/// In memory, so that it is gone with the boot.
const FILE: &str = "/run/ballast/going-down.json";

/// So long before its time a scheduled one is announced once more.
const WARNING: Duration = Duration::from_secs(60);

/// How often it is looked how far it is.
const POLL: Duration = Duration::from_secs(1);

#[derive(Debug)]
enum State {
    Up,
    Scheduled(Scheduled),
    Underway(Underway),
}

/// What is scheduled, or has begun.
#[derive(Debug)]
pub struct Power {
    host: Host,
    changed: Arc<Notify>,
    state: State,
    client: Option<mpsc::Sender<Event>>,
    /// What was reported last.
    reported: String,
    /// The longest that its pods were found to need in this going down.
    grace: Duration,
    is_warned: bool,
    announced: Vec<String>,
    problem: Option<String>,
}

impl Power {
    /// What an agent before this one left scheduled. What happens wakes `changed`.
    pub fn new(host: Host, changed: Arc<Notify>) -> Self {
        let (state, problem) = match load(&host) {
            Ok(Some(scheduled)) => (State::Scheduled(scheduled), None),
            Ok(None) => (State::Up, None),
            Err(error) => (State::Up, Some(format!("{error:#}; ask for it once more"))),
        };
        Self {
            host,
            changed,
            state,
            client: None,
            reported: String::new(),
            grace: Duration::ZERO,
            is_warned: false,
            announced: Vec::new(),
            problem,
        }
    }

    /// Takes an order, and tells `client` what comes of it, until it disconnects; `operation` is the one on releases that runs.
    pub fn ask(&mut self, order: Order, client: mpsc::Sender<Event>, operation: Option<&str>) {
        if client.is_closed() {
            return;
        }
        if let (State::Underway(underway), true) = (&mut self.state, order.force && order.in_secs.is_none())
            && underway.phase == Phase::EndsPods
            && order.action != Action::Cancel
        {
            underway.is_hurried = true;
            self.announce("its pods are not waited for any longer".to_owned());
            self.changed.notify_one();
            return self.watch(client);
        }
        let event = match order.action {
            Action::Cancel => self.cancel(),
            Action::Reboot | Action::Off => match plan::refusal(&order, operation, self.pending().as_deref()) {
                Some(failure) => Event::Failed(failure),
                None if order.in_secs.is_some() => self.schedule(order),
                None => {
                    self.begin(order, false);
                    return self.watch(client);
                }
            },
        };
        // Who asked may be gone already.
        let _ = client.try_send(event);
    }

    /// Whether nothing is to be done.
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Up)
    }

    /// Whether the pods of its clusters are to go.
    pub fn drains(&self) -> bool {
        matches!(&self.state, State::Underway(underway) if underway.order.drain && underway.phase != Phase::Waits)
    }

    /// Whether its own pods end, and nothing begins any more.
    pub fn is_ending(&self) -> bool {
        matches!(&self.state, State::Underway(Underway { phase: Phase::EndsPods | Phase::GoesDown, .. }))
    }

    /// When to look again.
    pub fn due_in(&self) -> Option<Duration> {
        match &self.state {
            State::Up => None,
            State::Underway(_) => Some(POLL),
            State::Scheduled(scheduled) => {
                let left = left(scheduled);
                Some(if self.is_warned { left } else { left.saturating_sub(WARNING) }.max(POLL))
            }
        }
    }

    /// What is to be announced on the console, once.
    pub fn announced(&mut self) -> Vec<String> {
        std::mem::take(&mut self.announced)
    }

    /// What became of one that nobody waited for, if it did not go well.
    pub fn problem(&self) -> Option<String> {
        self.problem.clone()
    }

    /// How far it is, for the status.
    pub fn shown(&self) -> Option<GoingDown> {
        let of = |order: &Order, phase: &str, message: &str| GoingDown {
            action: order.action.name().to_owned(),
            phase: phase.to_owned(),
            until_s: None,
            left_s: None,
            drain: order.drain,
            message: message.to_owned(),
        };
        match &self.state {
            State::Up => None,
            State::Underway(underway) => Some(of(&underway.order, underway.phase.name(), &self.reported)),
            State::Scheduled(scheduled) => Some(GoingDown {
                until_s: Some(scheduled.at_secs),
                left_s: Some(left(scheduled).as_secs()),
                ..of(&scheduled.order, "scheduled", &sentence(scheduled))
            }),
        }
    }

    /// Goes on as far as what is `seen` allows.
    pub async fn go_on(&mut self, mut seen: Seen) {
        seen.now = clock::uptime();
        if let State::Scheduled(scheduled) = &self.state {
            if !plan::is_due(scheduled, seen.now) {
                return self.warn();
            }
            let order = scheduled.order.clone();
            self.begin(order, true);
        }
        if let Pods::Run { grace, .. } = &mut seen.pods {
            self.grace = self.grace.max(*grace);
            *grace = self.grace;
        }
        let State::Underway(underway) = &self.state else { return };
        let is_left = self.client.as_ref().is_some_and(mpsc::Sender::is_closed);
        if is_left && !underway.is_scheduled && matches!(underway.phase, Phase::Waits | Phase::Drains) {
            self.announce("who asked for it has gone away, so the node stays up".to_owned());
            return self.end(None);
        }
        match plan::step(underway, &seen) {
            Step::Wait(message) => self.report(message),
            Step::GiveUp(failure) => self.give_up(failure),
            Step::Enter(phase) => self.enter(phase, seen.now).await,
        }
    }

    async fn enter(&mut self, phase: Phase, now: Duration) {
        let State::Underway(underway) = &mut self.state else { return };
        (underway.phase, underway.since) = (phase, now);
        let action = underway.order.action;
        self.changed.notify_one();
        match phase {
            Phase::Waits => {}
            Phase::Drains => self.report("the pods of its clusters go".to_owned()),
            Phase::EndsPods => {
                // From here on it goes down, also if this agent does not live to see it.
                let order = Order { drain: false, in_secs: None, ..underway.order.clone() };
                if let Err(error) = save(&self.host, &Scheduled { order, at_secs: now.as_secs() }) {
                    log::warn!("{error:#}");
                }
                self.report("its pods end".to_owned());
            }
            Phase::GoesDown => {
                self.report(action.sentence().to_owned());
                let asked = match action {
                    Action::Reboot => systemd::systemctl_reboot(&self.host).await,
                    Action::Off | Action::Cancel => systemd::systemctl_power_off(&self.host).await,
                };
                match asked {
                    Ok(()) => self.answer(Event::Done(action.sentence().to_owned())),
                    Err(error) => {
                        let message = format!("{error:#}");
                        self.give_up(Failure { kind: FailureKind::Failed, message });
                    }
                }
            }
        }
    }

    fn begin(&mut self, order: Order, is_scheduled: bool) {
        self.problem = None;
        (self.reported, self.grace) = (String::new(), Duration::ZERO);
        let drained = if order.drain { ", drained first" } else { "" };
        self.announce(format!("{}{drained}", order.action.sentence()));
        self.state = State::Underway(Underway {
            order,
            is_scheduled,
            phase: Phase::Waits,
            since: clock::uptime(),
            is_hurried: false,
        });
        self.changed.notify_one();
    }

    /// Wakes the loop when who asked goes away.
    fn watch(&mut self, client: mpsc::Sender<Event>) {
        let (watched, changed) = (client.clone(), Arc::clone(&self.changed));
        tokio::spawn(async move {
            watched.closed().await;
            changed.notify_one();
        });
        self.client = Some(client);
    }

    fn schedule(&mut self, order: Order) -> Event {
        let wait = Duration::from_secs(order.in_secs.unwrap_or_default());
        let at_secs = (clock::uptime() + wait).as_secs();
        let scheduled = Scheduled { order, at_secs };
        if let Err(error) = save(&self.host, &scheduled) {
            return Event::Failed(Failure { kind: FailureKind::Failed, message: format!("{error:#}") });
        }
        let message = sentence(&scheduled);
        self.announce(format!("{message}; ballast reboot --cancel takes it back"));
        self.problem = None;
        // A short one is announced now, and not once more.
        self.is_warned = wait <= WARNING + POLL;
        self.state = State::Scheduled(scheduled);
        self.changed.notify_one();
        Event::Done(message)
    }

    fn warn(&mut self) {
        let State::Scheduled(scheduled) = &self.state else { return };
        if !self.is_warned && left(scheduled) <= WARNING {
            let message = sentence(scheduled);
            self.is_warned = true;
            self.announce(message);
        }
    }

    fn cancel(&mut self) -> Event {
        let failed = |kind, message: &str| Event::Failed(Failure { kind, message: message.to_owned() });
        match &self.state {
            State::Up => failed(FailureKind::Refused, "nothing is scheduled"),
            State::Underway(Underway { phase: Phase::EndsPods | Phase::GoesDown, .. }) => {
                failed(FailureKind::Busy, "its pods end already; the node goes down")
            }
            State::Scheduled(_) | State::Underway(_) => {
                let message = "taken back; the node stays up".to_owned();
                self.announce(message.clone());
                let failure = Failure { kind: FailureKind::Cancelled, message: "somebody took it back".to_owned() };
                self.end(Some(Event::Failed(failure)));
                Event::Done(message)
            }
        }
    }

    /// What is in the way of another order, in a sentence.
    fn pending(&self) -> Option<String> {
        match &self.state {
            State::Up => None,
            State::Scheduled(scheduled) => {
                Some(format!("{}; ballast reboot --cancel takes it back", sentence(scheduled)))
            }
            State::Underway(underway) => {
                let does = match underway.phase {
                    Phase::Waits | Phase::Drains => "ballast reboot --cancel takes it back",
                    Phase::EndsPods => "--force waits for its pods no longer",
                    Phase::GoesDown => "systemd was told",
                };
                Some(format!("{} already; {does}", underway.order.action.sentence()))
            }
        }
    }

    fn give_up(&mut self, failure: Failure) {
        self.announce(format!("the node stays up: {}", failure.message));
        self.problem = self.client.is_none().then(|| format!("the node did not go down as asked: {}", failure.message));
        self.end(Some(Event::Failed(failure)));
    }

    /// It is as before.
    fn end(&mut self, last: Option<Event>) {
        if let Some(event) = last {
            self.answer(event);
        }
        if let Err(error) = store::remove(&file(&self.host)) {
            log::warn!("{error:#}");
        }
        self.state = State::Up;
        self.client = None;
        self.changed.notify_one();
    }

    fn report(&mut self, message: String) {
        if self.reported == message {
            return;
        }
        log::info!("going down: {message}");
        if let Some(client) = &self.client {
            // One that is slow to read misses a word; the next says more.
            let _ = client.try_send(Event::Progress(message.clone()));
        }
        self.reported = message;
    }

    /// The last word; nobody waits any more.
    fn answer(&mut self, event: Event) {
        if let Some(client) = self.client.take() {
            // Beside the loop: there may be no room yet.
            tokio::spawn(async move { client.send(event).await });
        }
    }

    fn announce(&mut self, message: String) {
        log::warn!("{message}");
        self.announced.push(message);
    }
}

fn left(scheduled: &Scheduled) -> Duration {
    Duration::from_secs(scheduled.at_secs).saturating_sub(clock::uptime())
}

/// `the node reboots in 10min, drained first`
fn sentence(scheduled: &Scheduled) -> String {
    // Without the moments that went by since: in ten minutes is not in 599 s.
    let secs = left(scheduled).as_millis().div_ceil(1000);
    let left = duration_text(Duration::from_secs(secs.try_into().unwrap_or_default()));
    let drained = if scheduled.order.drain { ", drained first" } else { "" };
    format!("{} in {left}{drained}", scheduled.order.action.sentence())
}

fn file(host: &Host) -> PathBuf {
    host.path(FILE)
}

fn load(host: &Host) -> Result<Option<Scheduled>> {
    let doing = || format!("reading what {FILE} schedules");
    let Some(text) = store::read(&file(host)).with_context(doing)? else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).with_context(doing)
}

fn save(host: &Host, scheduled: &Scheduled) -> Result<()> {
    let text = serde_json::to_vec(scheduled).context("encoding what is scheduled")?;
    store::write(&file(host), &text)
}
