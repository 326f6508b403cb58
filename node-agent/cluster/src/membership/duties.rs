//! The duties themselves, and when each is due again.

use std::time::{Duration, SystemTime};

use k8s_openapi::{
    api::core::v1::NodeStatus,
    apimachinery::pkg::apis::meta::v1::Time,
    chrono::{DateTime, Utc},
};

use super::{
    member::{Member, Outcome},
    pace::Duty,
};
use crate::{
    act,
    client::{Failure, Kind, Refusal},
    model::{NodeOsStatus, Role},
    observe::{self, Change},
    plan::{
        self, backoff,
        conditions::{beside_kubelet, conditions, on_node, on_node_os, operating_system},
        lease::{LEASE_EVERY, STATUS_EVERY, is_status_due},
    },
    random,
};

/// A heartbeat is late by at most this part of its interval, so that nodes that began together drift apart.
const BEAT_JITTER: f64 = 0.04;

/// The cluster may have taken a node that it did not hear of for lost, and say so on its Node even after it is heard again: its controllers read
/// what was written with a delay. So after no server answered, the status is reported once more after each of these.
const ECHOES: [Duration; 3] = [Duration::from_secs(10), Duration::from_secs(15), Duration::from_secs(30)];

/// Between two reports of one that does: the bytes of a download are no reason to write each second.
const QUIET: Duration = Duration::from_secs(2);

/// A status that somebody else wrote is put right no sooner than this after it was written last.
const REWRITE: Duration = Duration::from_secs(30);

/// What is wrong where there is no NodeOS.
const NO_NODE_OS: &str = "steering the operating system";

/// A control plane is upgraded now and then.
const VERSION_EVERY: Duration = Duration::from_secs(600);

/// Until the kubelet has made its Node.
const NO_NODE_YET: Duration = Duration::from_secs(5);

/// Of what a rollout does in a row only the last is reported.
const SETTLING: Duration = Duration::from_millis(200);

/// A watch is asked for a random number of seconds in this range: the kubelet's.
const WATCH_SECS: (f64, f64) = (300.0, 600.0);

/// A watch that ends earlier than this is opened again later and later.
pub(super) const SHORT_WATCH: Duration = Duration::from_secs(10);

/// The first such wait, and the longest.
const WATCH_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// For how long a watch is asked.
pub(super) fn watch_secs() -> u64 {
    let (least, most) = WATCH_SECS;
    Duration::from_secs_f64(least + (most - least) * random::fraction()).as_secs()
}

/// How long after its end a watch is opened again; `short` watches before it ended too soon.
pub(super) fn watch_pause(short: u32) -> Duration {
    let (first, longest) = WATCH_PAUSE;
    backoff::full_jitter(first, longest, short, random::fraction())
}

impl Member {
    /// Does it once, and says when it is due again.
    pub(super) async fn perform(&mut self, duty: Duty) -> Result<Outcome, Failure> {
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

    /// Where it is not told, no kubelet is held to it.
    async fn ask_version(&mut self) -> Result<(), Failure> {
        let asked = observe::server_version(&self.access.client.own()).await;
        self.schedule.set(Duty::Version, self.now() + VERSION_EVERY);
        match asked {
            Ok(version) => self.status_reporter.set_server_version(Some(version)),
            Err(failure @ (Failure::Unreachable(_) | Failure::Late { .. })) => return Err(failure),
            Err(failure) if failure.kind() == Kind::Unknown => return Err(failure),
            Err(failure) => {
                log::info!("cluster {}: the API server's version: {failure}", self.applicant.config.name);
                self.status_reporter.set_server_version(None);
            }
        }
        Ok(())
    }

    async fn register(&mut self) -> Result<(), Failure> {
        if self.identity.role == Role::Kubelet {
            return self.adopt().await;
        }
        let status = self.status();
        let mut node = plan::node::node(&self.applicant.config, &self.known, Vec::new());
        node.status = Some(status.clone());
        let registered = act::register(&self.access.client.own(), &node, SystemTime::now()).await?;
        let now = self.now();
        let is_new = registered.found.is_none();
        self.is_tainted = registered.found.as_ref().is_none_or(plan::node::is_tainted);
        let became = if is_new { "was made" } else { "is there" };
        log::info!("cluster {}: the Node {} {became}", self.applicant.config.name, self.identity.name);
        self.node_uid = Some(registered.uid);
        self.schedule.rest(Duty::Register);
        self.schedule.set(Duty::Beat, now);
        self.drop_pods();
        if is_new {
            self.heartbeat = act::Heartbeat::default();
            self.is_reported(status);
        } else {
            self.reported = registered.found.and_then(|found| found.status).map(|status| (status, now));
            self.schedule.set(Duty::Report, now);
        }
        Ok(())
    }

    /// The Node is the kubelet's to make, and to keep alive: what is ours on it is put right.
    async fn adopt(&mut self) -> Result<(), Failure> {
        let labels = plan::node::labels(&self.applicant.config, &self.known);
        let found = act::adopt(&self.access.client.own(), &self.identity.name, &labels).await?;
        let now = self.now();
        let Some(found) = found else {
            self.schedule.set(Duty::Register, now + NO_NODE_YET);
            return Ok(());
        };
        self.is_tainted = plan::node::is_tainted(&found);
        log::info!("cluster {}: the Node {} of the kubelet is there", self.applicant.config.name, self.identity.name);
        self.schedule.rest(Duty::Register);
        self.node_uid = found.metadata.uid;
        self.reported = found.status.map(|status| (status, now));
        self.schedule.set(Duty::Report, now);
        Ok(())
    }

    /// The Node's status as it should be.
    fn status(&mut self) -> NodeStatus {
        if self.identity.role == Role::Kubelet {
            self.conditions = beside_kubelet(&self.known, &self.decision, self.is_tainted);
            let found = self.reported.as_ref().and_then(|(status, _)| status.conditions.as_deref()).unwrap_or_default();
            let conditions = Some(on_node(&self.conditions, found, &time()));
            return NodeStatus { conditions, ..NodeStatus::default() };
        }
        self.conditions = conditions(&self.known, &self.decision, self.is_tainted, &self.conditions);
        let found = self.reported.as_ref().and_then(|(status, _)| status.conditions.as_deref()).unwrap_or_default();
        let conditions = on_node(&self.conditions, found, &time());
        plan::node::status(&self.applicant.config, &self.known, conditions)
    }

    fn is_reported(&mut self, status: NodeStatus) {
        let now = self.now();
        self.reported = Some((status, now));
        let echo = ECHOES.len().checked_sub(self.echoes).and_then(|past| ECHOES.get(past));
        self.echoes = self.echoes.saturating_sub(1);
        let wait = echo.copied().unwrap_or(STATUS_EVERY);
        self.schedule.set(Duty::Report, now + backoff::spread(wait, random::fraction()));
    }

    /// No server answers: the Node's status may be lost meanwhile.
    pub(super) fn doubt(&mut self) {
        if self.node_uid.is_some() {
            self.echoes = ECHOES.len();
            self.schedule.set(Duty::Report, self.now());
        }
    }

    /// The status of the NodeOS as it should be.
    fn node_os(&self) -> Option<NodeOsStatus> {
        let last = self.watch.last.as_ref()?;
        let before = self.applied.as_ref().unwrap_or(last.status());
        let reported = operating_system(&self.known, &self.decision);
        let conditions = on_node_os(&reported, &before.conditions, last.generation(), &time());
        let resolved = self.resolved.as_ref();
        let (facts, generation) = (&self.known, last.generation());
        Some(plan::status::status(facts, &self.identity, &self.decision, resolved, generation, conditions))
    }

    async fn beat(&mut self) -> Result<(), Failure> {
        let Some(uid) = self.node_uid.clone() else {
            self.schedule.rest(Duty::Beat);
            return Ok(());
        };
        let own = self.access.client.own();
        let beaten = self.heartbeat.beat(&own, &self.identity.name, &uid, SystemTime::now()).await;
        // The Node takes its Lease along, so this is where its end shows first.
        self.is_node_there(&beaten);
        let wait = LEASE_EVERY.mul_f64(1.0 + BEAT_JITTER * random::fraction());
        self.schedule.set(Duty::Beat, self.now() + wait);
        beaten
    }

    async fn report(&mut self) -> Result<(), Failure> {
        if self.node_uid.is_none() {
            self.schedule.rest(Duty::Report);
            return Ok(());
        }
        let status = self.status();
        let reported = act::report(&self.access.client.own(), &self.identity.name, &status).await;
        self.is_node_there(&reported);
        let is_tainted = reported?;
        self.is_reported(status);
        // Somebody set the taint, or took it away: the condition that asks for it is another.
        if self.is_tainted != is_tainted {
            self.is_tainted = is_tainted;
            self.compare();
        }
        Ok(())
    }

    fn is_node_there<T>(&mut self, answer: &Result<T, Failure>) {
        if answer.as_ref().is_err_and(|failure| failure.kind() == Kind::Missing) {
            self.node_uid = None;
            self.schedule.set(Duty::Register, self.now());
        }
    }

    async fn watch(&mut self) -> Result<(), Failure> {
        let own = self.access.client.own();
        if !self.watch.is_made {
            // What was made is what there is: the watch goes on from there, and the server need not look for it among all.
            match act::create(&own, &self.identity.name).await.map_err(explained)? {
                act::Created::Made(made) => {
                    // There was none: what an earlier one asked for is not what this one will.
                    self.forget_resolved().await;
                    self.watched(Some(Ok(Change::Is(made)))).await;
                }
                act::Created::IsThere => {}
                act::Created::MayNot => {
                    let name = &self.identity.name;
                    let why = format!("there is no NodeOS {name}, and the node may not make it: somebody has to");
                    self.status_reporter.set_problem(NO_NODE_OS, why);
                }
            }
            self.watch.is_made = true;
        }
        if self.watch.stream.is_none() {
            let opened = observe::watch(&own, &self.identity.name, self.watch.version.as_deref(), watch_secs()).await;
            if opened.as_ref().is_err_and(|failure| failure.kind() == Kind::Gone) {
                self.watch.version = None;
            }
            self.watch.stream = Some(opened?);
            self.watch.opened = self.now();
        }
        self.schedule.rest(Duty::Watch);
        Ok(())
    }

    /// What the watch of the NodeOS reported.
    pub(super) async fn watched(&mut self, change: Option<Result<Change, Failure>>) {
        let now = self.now();
        match change {
            Some(Ok(Change::Is(object))) => {
                self.watch.version = object.resource_version().map(str::to_owned);
                if self.watch.last.as_ref().is_some_and(|last| last.uid() != object.uid()) {
                    self.forget_resolved().await;
                }
                // Somebody else wrote there. Nothing is done by it, and it is put right.
                if self.applied.as_ref().is_some_and(|applied| !applied.says_the_same(object.status())) {
                    self.schedule.hasten(Duty::Apply, (self.applied_at + REWRITE).max(now));
                }
                self.watch.last = Some(object);
                self.status_reporter.clear_problem(NO_NODE_OS);
                self.schedule.set(Duty::Rollout, now);
            }
            Some(Ok(Change::Same(version))) => self.watch.version = Some(version),
            Some(Ok(Change::Gone)) => {
                self.forget_resolved().await;
                (self.watch.last, self.watch.is_made, self.applied) = (None, false, None);
                self.schedule.set(Duty::Watch, now);
            }
            Some(Err(failure)) => {
                // A version that is too old, or an object that cannot be understood: from the beginning.
                self.watch.version = None;
                if failure.kind() != Kind::Gone {
                    self.status_reporter.set_problem(Duty::Watch.doing(), failure.to_string());
                }
                self.watch_again();
            }
            None => self.watch_again(),
        }
    }

    fn watch_again(&mut self) {
        let now = self.now();
        let is_short = now.saturating_sub(self.watch.opened) < SHORT_WATCH;
        self.watch.stream = None;
        self.watch.short = if is_short { self.watch.short.saturating_add(1) } else { 0 };
        self.schedule.set(Duty::Watch, now + watch_pause(self.watch.short));
    }

    pub(super) async fn apply(&mut self) -> Result<(), Failure> {
        self.schedule.rest(Duty::Apply);
        let Some(status) = self.node_os() else { return Ok(()) };
        let applied = act::apply(&self.access.client.own(), &self.identity.name, &status).await;
        if applied.as_ref().is_err_and(|failure| failure.kind() == Kind::Missing) {
            self.watch.is_made = false;
            self.schedule.set(Duty::Watch, self.now());
        }
        applied?;
        self.applied = Some(status);
        self.applied_at = self.now();
        Ok(())
    }

    pub(super) async fn record_events(&mut self) -> Result<(), Failure> {
        self.schedule.rest(Duty::Record);
        let Some((event, is_first)) = self.events.front() else { return Ok(()) };
        let now = time();
        let object = plan::event::object(event, &self.known, &self.identity, &self.subject_uid(), &now);
        let reported = self.recorder.record(&self.access.client.own(), object, *is_first, &now).await;
        let is_over = reported.as_ref().err().is_none_or(|failure| failure.kind() == Kind::Rejected);
        if is_over {
            self.events.pop_front();
        }
        if !self.events.is_empty() {
            self.schedule.set(Duty::Record, self.now());
        }
        reported
    }

    pub(super) fn subject_uid(&self) -> String {
        match self.identity.role {
            // The kubelet's way: `kubectl describe node` looks for the name in this place.
            Role::Node | Role::Kubelet => self.identity.name.clone(),
            Role::ReportOnly => self.watch.last.as_ref().and_then(|last| last.uid()).unwrap_or_default().to_owned(),
        }
    }

    /// Whether something is to be reported that was not yet.
    pub(super) fn compare(&mut self) {
        let now = self.now();
        let status = self.status();
        let written = self.reported.as_ref().map(|(status, at)| (status, now.saturating_sub(*at)));
        if self.node_uid.is_some() && is_status_due(&status, written) {
            self.schedule.hasten(Duty::Report, now);
        }
        let is_other = |status: NodeOsStatus| self.applied.as_ref() != Some(&status);
        if self.node_os().is_some_and(is_other) {
            self.schedule.hasten(Duty::Apply, (now + SETTLING).max(self.applied_at + QUIET));
        }
    }
}

fn time() -> Time {
    Time(DateTime::<Utc>::from(SystemTime::now()))
}

/// A kind of objects that a cluster does not know is a step that somebody left out.
fn explained(failure: Failure) -> Failure {
    let Failure::Refused(refusal) = failure else { return failure };
    let message = match refusal.code {
        404 => {
            "it has no NodeOS resources, expected Ballast's manifests to be applied there (kubectl apply -k)".to_owned()
        }
        _ => refusal.message,
    };
    Failure::Refused(Refusal { message, ..refusal })
}
