//! Pods that are bound to the node although no kubelet runs here: they are watched, and handed back.

use std::{collections::BTreeMap, time::Duration};

use super::{
    duties::{SHORT_WATCH, watch_pause, watch_secs},
    member::Member,
    pace::Duty,
};
use crate::{
    act,
    client::{Failure, Kind},
    model::{PodId, Role},
    observe::{self, PodChange, PodWatch},
    plan::bound::HandBack,
};

/// So many are handed back in one pass: the heartbeat must not wait for all that a node may have had.
const AT_ONCE: usize = 20;

/// Between two passes. Whoever binds pods to this node by its name makes others at once when these have failed.
const PASS_WAIT: Duration = Duration::from_secs(5);

/// What is wrong where the cluster does not let pods be handed back.
const REFUSED: &str = "handing back single pods";

/// The watch of the node's pods, and those that are to be handed back.
#[derive(Default)]
pub(super) struct Pods {
    pub(super) stream: Option<PodWatch>,
    opened: Duration,
    /// How often it ended right after it had begun.
    short: u32,
    /// From where on it goes on.
    version: Option<String>,
    waiting: BTreeMap<PodId, HandBack>,
    /// Those that the cluster did not let be handed back; tried again when the watch is opened anew.
    refused: BTreeMap<PodId, HandBack>,
    passed: Option<Duration>,
}

impl Member {
    /// The watch is given up, and opened again. Nothing happens where a kubelet runs, or where the node has no Node of its own.
    pub(super) fn drop_pods(&mut self) {
        self.pods.stream = None;
        if self.identity.role == Role::Node && self.node_uid.is_some() && !self.known.kubelet {
            self.schedule.set(Duty::WatchPods, self.now());
        }
    }

    pub(super) async fn watch_pods(&mut self) -> Result<(), Failure> {
        self.schedule.rest(Duty::WatchPods);
        if self.known.kubelet || self.node_uid.is_none() {
            self.pods = Pods::default();
            return Ok(());
        }
        let own = self.access.client.own();
        let opened = observe::watch_pods(&own, &self.identity.name, self.pods.version.as_deref(), watch_secs()).await;
        if opened.as_ref().is_err_and(|failure| failure.kind() == Kind::Gone) {
            self.pods.version = None;
        }
        self.pods.stream = Some(opened?);
        self.pods.opened = self.now();
        let refused = std::mem::take(&mut self.pods.refused);
        if !refused.is_empty() {
            self.pods.waiting.extend(refused);
            self.schedule.set(Duty::HandBack, self.now());
        }
        Ok(())
    }

    /// What the watch reported.
    pub(super) fn pods_changed(&mut self, change: Option<Result<PodChange, Failure>>) {
        let now = self.now();
        match change {
            Some(Ok(change)) => {
                self.pods.version = change.version.or(self.pods.version.take());
                let Some((id, what)) = change.hand_back else { return };
                if self.pods.refused.get(&id) == Some(&what) {
                    return;
                }
                self.pods.waiting.insert(id, what);
                let next = self.pods.passed.map_or(now, |passed| now.max(passed + PASS_WAIT));
                self.schedule.set(Duty::HandBack, next);
                return;
            }
            Some(Err(failure)) => {
                // A version that is too old, or a pod that cannot be understood: from the beginning.
                self.pods.version = None;
                if failure.kind() != Kind::Gone {
                    self.status_reporter.set_problem(Duty::WatchPods.doing(), failure.to_string());
                }
            }
            None => {}
        }
        let is_short = now.saturating_sub(self.pods.opened) < SHORT_WATCH;
        self.pods.short = if is_short { self.pods.short.saturating_add(1) } else { 0 };
        self.pods.stream = None;
        self.schedule.set(Duty::WatchPods, now + watch_pause(self.pods.short));
    }

    /// Hands back the next of those that wait. One that is refused (by an admission webhook, say) keeps no other.
    pub(super) async fn hand_back(&mut self) -> Result<(), Failure> {
        self.schedule.rest(Duty::HandBack);
        self.pods.passed = Some(self.now());
        let own = self.access.client.own();
        for _ in 0..AT_ONCE {
            let Some((id, what)) = self.pods.waiting.first_key_value().map(|(id, what)| (id.clone(), *what)) else {
                if self.pods.refused.is_empty() {
                    self.status_reporter.clear_problem(REFUSED);
                }
                return Ok(());
            };
            let done = match what {
                HandBack::Fail => act::fail(&own, &id).await,
                HandBack::Remove => act::remove(&own, std::slice::from_ref(&id)).await,
            };
            let (cluster, PodId { namespace, name, .. }) = (&self.applicant.config.name, &id);
            match done {
                Err(failure) if matches!(failure.kind(), Kind::Forbidden | Kind::Rejected) => {
                    self.status_reporter.set_problem(REFUSED, format!("{namespace}/{name}: {failure}"));
                    self.pods.waiting.remove(&id);
                    self.pods.refused.insert(id, what);
                    continue;
                }
                done => done?,
            }
            log::info!("cluster {cluster}: the pod {namespace}/{name} was handed back, since no kubelet runs here");
            self.pods.waiting.remove(&id);
        }
        self.schedule.set(Duty::HandBack, self.now() + PASS_WAIT);
        Ok(())
    }
}
