//! The Node: its registration, its heartbeat, its status.

use std::time::{Duration, SystemTime};

use ballast_client::backoff;
use k8s_openapi::api::{coordination::v1::Lease, core::v1::NodeStatus};

use super::{
    member::{Member, time},
    pace::Duty,
};
use crate::{
    act::{self, Heartbeat},
    client::{Failure, Kind},
    model::Role,
    plan::{
        self,
        conditions::{Reported, beside_kubelet, conditions, on_node},
        lease::{LEASE_EVERY, STATUS_EVERY, is_status_due},
    },
    random,
};

/// A heartbeat is late by at most this part of its interval, so that nodes that began together drift apart.
const BEAT_JITTER: f64 = 0.04;

/// The cluster may have taken a node that it did not hear of for lost, and say so on its Node even after it is heard again: its controllers read
/// what was written with a delay. So after no server answered, the status is reported once more after each of these.
const ECHOES: [Duration; 3] = [Duration::from_secs(10), Duration::from_secs(15), Duration::from_secs(30)];

/// Until the kubelet has made its Node.
const NO_NODE_YET: Duration = Duration::from_secs(5);

/// What is known of the node's own Node.
pub(super) struct OwnNode {
    /// None as long as it is not there, or not known to be.
    uid: Option<String>,
    heartbeat: Heartbeat,
    /// What was said last of the machine's conditions.
    conditions: Vec<Reported>,
    /// Its status as it is in the cluster, and since when.
    reported: Option<(NodeStatus, Duration)>,
    /// Whether it has the taint of a node without a kubelet; it gets it when it is made.
    is_tainted: bool,
    /// How often its status is still to be reported again, after no server answered.
    echoes: usize,
}

impl Default for OwnNode {
    fn default() -> Self {
        Self {
            uid: None,
            heartbeat: Heartbeat::default(),
            conditions: Vec::new(),
            reported: None,
            is_tainted: true,
            echoes: 0,
        }
    }
}

impl OwnNode {
    pub(super) fn is_there(&self) -> bool {
        self.uid.is_some()
    }

    /// The Lease was written beside the heartbeat, which goes on from it.
    pub(super) fn goes_on(&mut self, lease: Lease) {
        self.heartbeat.goes_on(lease);
    }
}

impl Member {
    pub(super) async fn register(&mut self) -> Result<(), Failure> {
        if self.identity.role == Role::Kubelet {
            return self.adopt().await;
        }
        let status = self.node_status();
        let mut node = plan::node::node(&self.applicant.config, &self.known, Vec::new());
        node.status = Some(status.clone());
        let registered = act::register(&self.access.client.own(), &node, SystemTime::now()).await?;
        let now = self.now();
        let is_new = registered.found.is_none();
        self.node.is_tainted = registered.found.as_ref().is_none_or(plan::node::is_tainted);
        let became = if is_new { "was made" } else { "is there" };
        log::info!("cluster {}: the Node {} {became}", self.applicant.config.name, self.identity.name);
        self.node.uid = Some(registered.uid);
        self.schedule.rest(Duty::Register);
        self.schedule.set(Duty::Beat, now);
        self.drop_pods();
        if is_new {
            self.node.heartbeat = Heartbeat::default();
            self.has_reported(status);
        } else {
            self.node.reported = registered.found.and_then(|found| found.status).map(|status| (status, now));
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
        self.node.is_tainted = plan::node::is_tainted(&found);
        log::info!("cluster {}: the Node {} of the kubelet is there", self.applicant.config.name, self.identity.name);
        self.schedule.rest(Duty::Register);
        self.node.uid = found.metadata.uid;
        self.node.reported = found.status.map(|status| (status, now));
        self.schedule.set(Duty::Report, now);
        Ok(())
    }

    /// The Node's status as it should be.
    fn node_status(&mut self) -> NodeStatus {
        let (decision, node) = (self.rollout.decision(), &mut self.node);
        let found = node.reported.as_ref().and_then(|(status, _)| status.conditions.as_deref()).unwrap_or_default();
        if self.identity.role == Role::Kubelet {
            node.conditions = beside_kubelet(&self.known, decision, node.is_tainted);
            let conditions = Some(on_node(&node.conditions, found, &time()));
            return NodeStatus { conditions, ..NodeStatus::default() };
        }
        node.conditions = conditions(&self.known, decision, node.is_tainted, &node.conditions);
        let conditions = on_node(&node.conditions, found, &time());
        plan::node::status(&self.applicant.config, &self.known, conditions)
    }

    fn has_reported(&mut self, status: NodeStatus) {
        let now = self.now();
        self.node.reported = Some((status, now));
        let echo = ECHOES.len().checked_sub(self.node.echoes).and_then(|past| ECHOES.get(past));
        self.node.echoes = self.node.echoes.saturating_sub(1);
        let wait = echo.copied().unwrap_or(STATUS_EVERY);
        self.schedule.set(Duty::Report, now + backoff::spread(wait, random::fraction()));
    }

    /// No server answers: the Node's status may be lost meanwhile.
    pub(super) fn doubt(&mut self) {
        if self.node.is_there() {
            self.node.echoes = ECHOES.len();
            self.schedule.set(Duty::Report, self.now());
        }
    }

    pub(super) async fn beat(&mut self) -> Result<(), Failure> {
        let Some(uid) = self.node.uid.clone() else {
            self.schedule.rest(Duty::Beat);
            return Ok(());
        };
        let own = self.access.client.own();
        let beaten = self.node.heartbeat.beat(&own, &self.identity.name, &uid, SystemTime::now()).await;
        // The Node takes its Lease along, so this is where its end shows first.
        self.notice_a_missing_node(&beaten);
        let wait = LEASE_EVERY.mul_f64(1.0 + BEAT_JITTER * random::fraction());
        self.schedule.set(Duty::Beat, self.now() + wait);
        beaten
    }

    pub(super) async fn report(&mut self) -> Result<(), Failure> {
        if !self.node.is_there() {
            self.schedule.rest(Duty::Report);
            return Ok(());
        }
        let status = self.node_status();
        let reported = act::report(&self.access.client.own(), &self.identity.name, &status).await;
        self.notice_a_missing_node(&reported);
        let is_tainted = reported?;
        self.has_reported(status);
        // Somebody set the taint, or took it away: the condition that asks for it is another.
        if self.node.is_tainted != is_tainted {
            self.node.is_tainted = is_tainted;
            self.compare();
        }
        Ok(())
    }

    /// After an answer to what was asked of the Node: one that is gone is registered again.
    fn notice_a_missing_node<T>(&mut self, answer: &Result<T, Failure>) {
        if answer.as_ref().is_err_and(|failure| failure.kind() == Kind::Missing) {
            self.node.uid = None;
            self.schedule.set(Duty::Register, self.now());
        }
    }

    /// Whether the Node's status is to be reported before its time.
    pub(super) fn compare_node(&mut self) {
        let now = self.now();
        let status = self.node_status();
        let written = self.node.reported.as_ref().map(|(status, at)| (status, now.saturating_sub(*at)));
        if self.node.is_there() && is_status_due(&status, written) {
            self.schedule.hasten(Duty::Report, now);
        }
    }
}
