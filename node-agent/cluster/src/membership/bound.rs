//! Pods that are bound to the node although no kubelet runs here: they are watched, and handed back.

use std::{collections::BTreeMap, time::Duration};

use super::{
    member::Member,
    pace::Duty,
    watching::{Watching, watch_secs},
};
use crate::{
    act,
    client::{Failure, Kind},
    model::{PodId, Role},
    observe::{self, PodChange},
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
    watch: Watching<PodChange>,
    waiting: BTreeMap<PodId, HandBack>,
    /// Those that the cluster did not let be handed back; tried again when the watch is opened anew.
    refused: BTreeMap<PodId, HandBack>,
    passed: Option<Duration>,
}

impl Pods {
    /// What their watch reports next.
    pub(super) async fn next(&mut self) -> Option<Result<PodChange, Failure>> {
        self.watch.next().await
    }
}

impl Member {
    /// The watch is given up, and opened again. Nothing happens where a kubelet runs, or where the node has no Node of its own.
    pub(super) fn drop_pods(&mut self) {
        self.pods.watch.close();
        if self.identity.role == Role::Node && self.node.is_there() && !self.known.kubelet {
            self.schedule.set(Duty::WatchPods, self.now());
        }
    }

    pub(super) async fn watch_pods(&mut self) -> Result<(), Failure> {
        self.schedule.rest(Duty::WatchPods);
        if self.known.kubelet || !self.node.is_there() {
            self.pods = Pods::default();
            return Ok(());
        }
        let own = self.access.client.own();
        let opened = observe::watch_pods(&own, &self.identity.name, self.pods.watch.version(), watch_secs()).await;
        let now = self.now();
        self.pods.watch.open(opened, now)?;
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
                if change.version.is_some() {
                    self.pods.watch.goes_on_from(change.version);
                }
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
                self.pods.watch.goes_on_from(None);
                if failure.kind() != Kind::Gone {
                    self.status_reporter.set_problem(Duty::WatchPods.doing(), failure.to_string());
                }
            }
            None => {}
        }
        let wait = self.pods.watch.ended(now);
        self.schedule.set(Duty::WatchPods, now + wait);
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
