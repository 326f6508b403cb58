//! A member of a cluster: what it knows, and its loop. One duty after the other; whatever fails waits for itself alone, unless no server answers.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::BoxStream};
use k8s_openapi::api::core::v1::NodeStatus;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{
    Ended,
    bound::Pods,
    pace::{Duty, Schedule},
    status_reporter::{StatusReporter, seconds},
};
use crate::{
    act::{EventRecorder, Evictions, Heartbeat},
    client::{Failure, Kind},
    credentials::{Access, Applicant, Problem},
    model::{ClusterSnapshot, Decision, Facts, Identity, Memory, NodeOsStatus, Order, Phase, Resolved, Role, State},
    observe::{Change, Observed, PodChange, Watch},
    plan::{self, backoff, conditions::Reported, event::Event, rotation},
    random,
};

/// A wait that is longer is looked at again meanwhile: clocks may be set, and machines may sleep.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// How long after a renewal that failed it is tried again: at first, at most.
const RENEWAL_WAIT: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(600));

/// A certificate is used for at least this part of what is left of it.
const LEAST_PART: u32 = 10;

/// Events that wait to be reported; the oldest are dropped.
const MAX_EVENTS: usize = 16;

/// What it knows.
pub(super) struct Member {
    pub(super) applicant: Arc<Applicant>,
    pub(super) access: Access,
    pub(super) identity: Identity,
    pub(super) facts: watch::Receiver<Arc<Facts>>,
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) status_reporter: StatusReporter,
    pub(super) begun: Instant,
    pub(super) schedule: Schedule,
    /// The facts that were gone by last.
    pub(super) known: Arc<Facts>,
    pub(super) node_uid: Option<String>,
    pub(super) heartbeat: Heartbeat,
    /// What was said last of the machine's conditions.
    pub(super) conditions: Vec<Reported>,
    /// The Node's status as it is in the cluster, and since when.
    pub(super) reported: Option<(NodeStatus, Duration)>,
    pub(super) watch: Watching,
    pub(super) pods: Pods,
    /// Whether the Node has the taint of a node without a kubelet; it gets it when it is made.
    pub(super) is_tainted: bool,
    pub(super) applied: Option<NodeOsStatus>,
    pub(super) applied_at: Duration,
    pub(super) snapshot: ClusterSnapshot,
    pub(super) memory: Memory,
    /// What the image that is asked for was found to mean.
    pub(super) resolved: Option<Resolved>,
    pub(super) decision: Decision,
    pub(super) evictions: Evictions,
    pub(super) recorder: EventRecorder,
    /// How often the Node's status is still to be reported again, after no server answered.
    pub(super) echoes: usize,
    /// Events that are to be reported; true: of the agent's start.
    pub(super) events: VecDeque<(Event, bool)>,
    renewal: Renewal,
    went_well: bool,
}

/// The watch of the NodeOS, and what it reported last.
#[derive(Default)]
pub(super) struct Watching {
    pub(super) stream: Option<Watch>,
    pub(super) opened: Duration,
    /// How often it ended right after it had begun.
    pub(super) short: u32,
    /// From where on it goes on.
    pub(super) version: Option<String>,
    pub(super) is_made: bool,
    pub(super) last: Option<Box<Observed>>,
}

/// The certificate's renewal: it may take long, and the heartbeat goes on meanwhile.
struct Renewal {
    running: JoinSet<Result<Access, Problem>>,
    /// In seconds since 1970.
    due: Option<u64>,
    failures: u32,
    not_before: Duration,
}

/// How a time in the cluster was, when it ended by not being believed.
pub(super) struct Served {
    /// Something was answered well.
    pub(super) went_well: bool,
}

/// How far a duty went that met no failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is done.
    Done,
    /// It only looked, for what it goes on to: whether that goes well is not known yet.
    Fetched,
}

enum Wakeup {
    Time,
    Facts(Result<(), watch::error::RecvError>),
    Watch(Option<Result<Change, Failure>>),
    Pods(Option<Result<PodChange, Failure>>),
    Renewed(Box<Result<Access, Problem>>),
}

impl Member {
    pub(super) fn new(
        applicant: Arc<Applicant>,
        access: Access,
        identity: Identity,
        mut facts: watch::Receiver<Arc<Facts>>,
        orders: mpsc::Sender<Order>,
        status_reporter: StatusReporter,
        resolved: Option<Resolved>,
    ) -> Self {
        let known = Arc::clone(&facts.borrow_and_update());
        let mut member = Self {
            echoes: 0,
            events: plan::event::events(None, (&known, Phase::Idle)).into_iter().map(|event| (event, true)).collect(),
            applicant,
            access,
            identity,
            facts,
            orders,
            status_reporter,
            begun: Instant::now(),
            schedule: Schedule::default(),
            known,
            node_uid: None,
            heartbeat: Heartbeat::default(),
            conditions: Vec::new(),
            reported: None,
            watch: Watching::default(),
            pods: Pods::default(),
            is_tainted: true,
            applied: None,
            applied_at: Duration::ZERO,
            snapshot: ClusterSnapshot::default(),
            memory: Memory::default(),
            resolved,
            decision: Decision::default(),
            evictions: Evictions::default(),
            recorder: EventRecorder::default(),
            renewal: Renewal { running: JoinSet::new(), due: None, failures: 0, not_before: Duration::ZERO },
            went_well: false,
        };
        if member.identity.role.has_node() {
            member.schedule.set(Duty::Register, Duration::ZERO);
        }
        if member.identity.role == Role::Kubelet {
            member.schedule.set(Duty::Version, Duration::ZERO);
        }
        for duty in [Duty::Watch, Duty::Record] {
            member.schedule.set(duty, Duration::ZERO);
        }
        member.certified();
        member
    }

    /// Goes on with another way in.
    pub(super) fn enters(&mut self, access: Access) {
        self.access = access;
        self.renewal.running = JoinSet::new();
        // It went with the connection, and begins anew where it was.
        self.watch.stream = None;
        self.schedule.set(Duty::Watch, self.now());
        self.drop_pods();
        self.certified();
    }

    fn certified(&mut self) {
        let certificate = self.access.certificate.as_ref();
        self.status_reporter.holds_until(certificate.map(crate::credentials::Certificate::until_secs));
        let ours = certificate.filter(|_| self.access.is_own);
        self.renewal.due = ours.map(|ours| rotation::renew_at(ours.from_secs(), ours.until_secs(), random::fraction()));
        self.renewal.failures = 0;
        // Signers date back. A certificate that is due from its first moment on is renewed at times, not for ever.
        let left = ours.map(|ours| Duration::from_secs(ours.until_secs().saturating_sub(seconds())));
        self.renewal.not_before = self.begun.elapsed() + left.unwrap_or_default() / LEAST_PART;
    }

    /// Since the membership began, by a clock that is never set.
    pub(super) fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Does what is due, until the cluster does not believe us any more.
    pub(super) async fn serve(&mut self) -> Result<Served, Ended> {
        self.went_well = false;
        loop {
            self.renew_if_due();
            if let Some(duty) = self.schedule.next(self.now()) {
                let result = self.perform(duty).await;
                if self.judge(duty, result).await {
                    return Ok(Served { went_well: self.went_well });
                }
                continue;
            }
            let wait = self.schedule.wait(self.now()).min(self.renewal_wait()).min(LONGEST_SLEEP);
            let woken = tokio::select! {
                () = sleep(wait) => Wakeup::Time,
                changed = self.facts.changed() => Wakeup::Facts(changed),
                change = next(&mut self.watch.stream) => Wakeup::Watch(change),
                change = next(&mut self.pods.stream) => Wakeup::Pods(change),
                Some(renewed) = self.renewal.running.join_next() => {
                    Wakeup::Renewed(Box::new(renewed.unwrap_or_else(|error| Err(Problem::Own(error.to_string())))))
                }
            };
            match woken {
                Wakeup::Time => {}
                Wakeup::Facts(changed) => {
                    changed?;
                    self.learn();
                }
                Wakeup::Watch(change) => self.watched(change).await,
                Wakeup::Pods(change) => self.pods_changed(change),
                Wakeup::Renewed(renewed) => self.renewed(*renewed),
            }
        }
    }

    /// What came of a duty. True: the cluster does not believe us.
    async fn judge(&mut self, duty: Duty, result: Result<Outcome, Failure>) -> bool {
        let now = self.now();
        let failure = match result {
            Ok(went) => {
                self.went_well = true;
                // A look that is answered ends no back-off of the step behind it.
                if went == Outcome::Done {
                    self.schedule.went_well(duty);
                    self.status_reporter.clear_problem(duty.doing());
                }
                self.connected().await;
                return false;
            }
            Err(failure) => failure,
        };
        let jitter = random::fraction();
        match (&failure, failure.kind()) {
            (Failure::Unreachable(_) | Failure::Late { .. }, _) => {
                self.doubt();
                self.schedule.unreachable(now, jitter);
                self.status_reporter.unreachable(failure.to_string());
                // It would wait for a connection that is given up.
                if self.watch.stream.take().is_some() {
                    self.schedule.set(Duty::Watch, now);
                }
                self.drop_pods();
            }
            (_, Kind::Unknown) => {
                self.status_reporter.set_state(State::Refused { reason: format!("{}: {failure}", duty.doing()) });
                return true;
            }
            (_, kind) => {
                self.schedule.failed(duty, now, kind, failure.retry_after(), jitter);
                self.status_reporter.set_problem(duty.doing(), failure.to_string());
                // A balancer without servers also says 503, but nothing of what we ask for.
                if kind != Kind::Passing {
                    self.connected().await;
                }
            }
        }
        false
    }

    async fn connected(&mut self) {
        self.schedule.answers();
        if !self.status_reporter.is_connected() {
            self.status_reporter.set_server(self.access.client.server().await);
            self.status_reporter.set_state(State::Connected);
        }
    }

    /// Other facts.
    fn learn(&mut self) {
        let facts = Arc::clone(&self.facts.borrow_and_update());
        let before = std::mem::replace(&mut self.known, facts);
        let phase = self.decision.phase;
        self.will_record(plan::event::events(Some((&before, phase)), (&self.known, phase)));
        let now = self.now();
        if plan::rollout::concerns(&before, &self.known) {
            self.schedule.hasten(Duty::Rollout, now);
        }
        self.compare();
    }

    /// Events that are to be reported.
    pub(super) fn will_record(&mut self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        self.events.extend(events.into_iter().map(|event| (event, false)));
        while self.events.len() > MAX_EVENTS {
            self.events.pop_front();
        }
        self.schedule.hasten(Duty::Record, self.now());
    }

    /// How long the certificate needs no renewal.
    fn renewal_wait(&self) -> Duration {
        let Some(due) = self.renewal.due.filter(|_| self.renewal.running.is_empty()) else { return Duration::MAX };
        Duration::from_secs(due.saturating_sub(seconds())).max(self.renewal.not_before.saturating_sub(self.now()))
    }

    fn renew_if_due(&mut self) {
        if self.renewal_wait().is_zero() {
            let (applicant, client) = (Arc::clone(&self.applicant), self.access.client.clone());
            self.renewal.running.spawn(async move { applicant.renewed(&client).await });
        }
    }

    fn renewed(&mut self, renewed: Result<Access, Problem>) {
        const DOING: &str = "renewing the certificate";
        match renewed {
            Ok(access) => {
                log::info!("cluster {}: the certificate was renewed", self.applicant.config.name);
                self.status_reporter.clear_problem(DOING);
                self.enters(access);
            }
            Err(problem) => {
                self.renewal.failures += 1;
                let (first, longest) = RENEWAL_WAIT;
                let wait = backoff::spread(backoff::doubled(first, longest, self.renewal.failures), random::fraction());
                self.renewal.not_before = self.now() + wait;
                self.status_reporter.set_problem(DOING, problem.to_string());
            }
        }
    }
}

/// The next thing that a watch reports; without a watch it waits for ever.
async fn next<T>(stream: &mut Option<BoxStream<'static, Result<T, Failure>>>) -> Option<Result<T, Failure>> {
    match stream {
        Some(stream) => stream.next().await,
        None => std::future::pending().await,
    }
}
