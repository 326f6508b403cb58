//! A member of a cluster: what it knows, and its loop. One duty after the other; whatever fails waits for itself alone, unless no server answers.
//!
//! Each part of what it knows belongs to one file, with what is done about it: `node`, `node_os`, `rollout`, `events`, `bound` (pods), `renewal`.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::Time,
    chrono::{DateTime, Utc},
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep},
};

use super::{
    Ended,
    bound::Pods,
    events::Events,
    node::OwnNode,
    node_os::OwnNodeOs,
    pace::{Duty, Schedule},
    renewal::Renewal,
    rollout::Rollout,
    status_reporter::StatusReporter,
};
use crate::{
    client::{Failure, Kind},
    credentials::{Access, Applicant, Problem},
    model::{Facts, Identity, Order, Phase, Resolved, Role, State},
    observe::{Change, PodChange},
    plan, random,
};

/// A wait that is longer is looked at again meanwhile: clocks may be set, and machines may sleep.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// What it knows.
pub(super) struct Member {
    pub(super) applicant: Arc<Applicant>,
    pub(super) access: Access,
    pub(super) identity: Identity,
    /// The facts that were gone by last.
    pub(super) known: Arc<Facts>,
    pub(super) status_reporter: StatusReporter,
    pub(super) schedule: Schedule,
    pub(super) node: OwnNode,
    pub(super) node_os: OwnNodeOs,
    pub(super) rollout: Rollout,
    pub(super) events: Events,
    pub(super) pods: Pods,
    pub(super) renewal: Renewal,
    facts: watch::Receiver<Arc<Facts>>,
    begun: Instant,
    succeeded: bool,
}

/// How a time in the cluster was, when it ended by not being believed.
pub(super) struct Served {
    /// Something was answered well.
    pub(super) succeeded: bool,
}

/// How far a duty went that met no failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is done.
    Done,
    /// It only fetched what the step behind it needs: whether that goes well is not known yet.
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
            events: Events::new(plan::event::events(None, (&known, Phase::Idle))),
            applicant,
            access,
            identity,
            known,
            status_reporter,
            schedule: Schedule::default(),
            node: OwnNode::default(),
            node_os: OwnNodeOs::default(),
            rollout: Rollout::new(orders, resolved),
            pods: Pods::default(),
            renewal: Renewal::default(),
            facts,
            begun: Instant::now(),
            succeeded: false,
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
        // It went with the connection, and begins anew where it was.
        self.node_os.close();
        self.schedule.set(Duty::Watch, self.now());
        self.drop_pods();
        self.certified();
    }

    /// Since the membership began, by a clock that is never set.
    pub(super) fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Does what is due, until the cluster does not believe us any more.
    pub(super) async fn serve(&mut self) -> Result<Served, Ended> {
        self.succeeded = false;
        loop {
            self.renew_if_due();
            if let Some(duty) = self.schedule.next(self.now()) {
                let result = self.perform(duty).await;
                if self.settle(duty, result).await {
                    return Ok(Served { succeeded: self.succeeded });
                }
                continue;
            }
            let wait = self.schedule.wait(self.now()).min(self.renewal.wait(self.now())).min(LONGEST_SLEEP);
            let wakeup = tokio::select! {
                () = sleep(wait) => Wakeup::Time,
                changed = self.facts.changed() => Wakeup::Facts(changed),
                change = self.node_os.next() => Wakeup::Watch(change),
                change = self.pods.next() => Wakeup::Pods(change),
                Some(renewed) = self.renewal.next() => Wakeup::Renewed(Box::new(renewed)),
            };
            match wakeup {
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

    /// Does it once, and says when it is due again.
    async fn perform(&mut self, duty: Duty) -> Result<Outcome, Failure> {
        match duty {
            Duty::Register => self.register().await?,
            Duty::Beat => self.beat().await?,
            Duty::Report => self.report().await?,
            Duty::Version => self.ask_version().await?,
            Duty::Watch => self.watch().await?,
            Duty::WatchPods => self.watch_pods().await?,
            Duty::HandBack => self.hand_back().await?,
            Duty::Rollout => return self.rollout_pass().await,
            Duty::Apply => self.apply().await?,
            Duty::Record => self.record_events().await?,
        }
        Ok(Outcome::Done)
    }

    /// What came of a duty. True: the cluster does not believe us.
    async fn settle(&mut self, duty: Duty, result: Result<Outcome, Failure>) -> bool {
        let now = self.now();
        let failure = match result {
            Ok(outcome) => {
                self.succeeded = true;
                // A fetch that is answered ends no back-off of the step behind it.
                if outcome == Outcome::Done {
                    self.schedule.succeeded(duty);
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
                if self.node_os.close() {
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
        let phase = self.rollout.decision().phase;
        self.will_record(plan::event::events(Some((&before, phase)), (&self.known, phase)));
        let now = self.now();
        if plan::rollout::concerns(&before, &self.known) {
            self.schedule.hasten(Duty::Rollout, now);
        }
        self.compare();
    }

    /// Whether something is to be reported that was not yet.
    pub(super) fn compare(&mut self) {
        self.compare_node();
        self.compare_node_os();
    }

    pub(super) fn subject_uid(&self) -> String {
        match self.identity.role {
            // The kubelet's way: `kubectl describe node` looks for the name in this place.
            Role::Node | Role::Kubelet => self.identity.name.clone(),
            Role::ReportOnly => self.node_os.object().and_then(|object| object.uid()).unwrap_or_default().to_owned(),
        }
    }
}

/// The time by the machine's clock, as the API writes it.
pub(super) fn time() -> Time {
    Time(DateTime::<Utc>::from(SystemTime::now()))
}
