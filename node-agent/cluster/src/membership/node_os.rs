//! The NodeOS: its watch, and its status.

use std::time::Duration;

use super::{
    member::{Member, time},
    pace::Duty,
    watching::{Watching, watch_secs},
};
use crate::{
    act,
    client::{Failure, Kind, Refusal},
    model::NodeOsStatus,
    observe::{self, Change, Observed},
    plan::{
        self,
        conditions::{on_node_os, operating_system},
    },
};

/// Between two reports of one that does: the bytes of a download are no reason to write each second.
const QUIET: Duration = Duration::from_secs(2);

/// A status that somebody else wrote is put right no sooner than this after it was written last.
const REWRITE: Duration = Duration::from_secs(30);

/// What is wrong where there is no NodeOS.
const NO_NODE_OS: &str = "steering the operating system";

/// Of what a rollout does in a row only the last is reported.
const SETTLING: Duration = Duration::from_millis(200);

/// What is known of the node's own NodeOS.
#[derive(Default)]
pub(super) struct OwnNodeOs {
    watch: Watching<Change>,
    /// Whether it was made, or may not be.
    is_made: bool,
    /// What the watch reported last.
    last: Option<Box<Observed>>,
    /// Its status as it was written last, and when.
    applied: Option<NodeOsStatus>,
    applied_at: Duration,
}

impl OwnNodeOs {
    /// As it was reported last.
    pub(super) fn object(&self) -> Option<&Observed> {
        self.last.as_deref()
    }

    /// What its watch reports next.
    pub(super) async fn next(&mut self) -> Option<Result<Change, Failure>> {
        self.watch.next().await
    }

    /// Gives its watch up; whether it was open.
    pub(super) fn close(&mut self) -> bool {
        self.watch.close()
    }
}

impl Member {
    /// The status of the NodeOS as it should be.
    fn node_os_status(&self) -> Option<NodeOsStatus> {
        let last = self.node_os.object()?;
        let before = self.node_os.applied.as_ref().unwrap_or(last.status());
        let (facts, decision, generation) = (&self.known, self.rollout.decision(), last.generation());
        let conditions = on_node_os(&operating_system(facts, decision), &before.conditions, generation, &time());
        let resolved = self.rollout.resolved();
        Some(plan::status::status(facts, &self.identity, decision, resolved, generation, conditions))
    }

    pub(super) async fn watch(&mut self) -> Result<(), Failure> {
        let own = self.access.client.own();
        if !self.node_os.is_made {
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
            self.node_os.is_made = true;
        }
        if !self.node_os.watch.is_open() {
            let version = self.node_os.watch.version();
            let opened = observe::watch(&own, &self.identity.name, version, watch_secs()).await;
            let now = self.now();
            self.node_os.watch.open(opened, now)?;
        }
        self.schedule.rest(Duty::Watch);
        Ok(())
    }

    /// What the watch of the NodeOS reported.
    pub(super) async fn watched(&mut self, change: Option<Result<Change, Failure>>) {
        let now = self.now();
        match change {
            Some(Ok(Change::Is(object))) => {
                self.node_os.watch.goes_on_from(object.resource_version().map(str::to_owned));
                if self.node_os.object().is_some_and(|last| last.uid() != object.uid()) {
                    self.forget_resolved().await;
                }
                // Somebody else wrote there. Nothing is done by it, and it is put right.
                if self.node_os.applied.as_ref().is_some_and(|applied| !applied.says_the_same(object.status())) {
                    self.schedule.hasten(Duty::Apply, (self.node_os.applied_at + REWRITE).max(now));
                }
                self.node_os.last = Some(object);
                self.status_reporter.clear_problem(NO_NODE_OS);
                self.schedule.set(Duty::Rollout, now);
            }
            Some(Ok(Change::Same(version))) => self.node_os.watch.goes_on_from(Some(version)),
            Some(Ok(Change::Gone)) => {
                self.forget_resolved().await;
                (self.node_os.last, self.node_os.is_made, self.node_os.applied) = (None, false, None);
                self.schedule.set(Duty::Watch, now);
            }
            Some(Err(failure)) => {
                // A version that is too old, or an object that cannot be understood: from the beginning.
                self.node_os.watch.goes_on_from(None);
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
        let wait = self.node_os.watch.ended(now);
        self.schedule.set(Duty::Watch, now + wait);
    }

    pub(super) async fn apply(&mut self) -> Result<(), Failure> {
        self.schedule.rest(Duty::Apply);
        let Some(status) = self.node_os_status() else { return Ok(()) };
        let applied = act::apply(&self.access.client.own(), &self.identity.name, &status).await;
        if applied.as_ref().is_err_and(|failure| failure.kind() == Kind::Missing) {
            self.node_os.is_made = false;
            self.schedule.set(Duty::Watch, self.now());
        }
        applied?;
        self.node_os.applied = Some(status);
        self.node_os.applied_at = self.now();
        Ok(())
    }

    /// Whether the status of the NodeOS is another than the one that was written.
    pub(super) fn compare_node_os(&mut self) {
        let is_other = |status: NodeOsStatus| self.node_os.applied.as_ref() != Some(&status);
        if self.node_os_status().is_some_and(is_other) {
            self.schedule.hasten(Duty::Apply, (self.now() + SETTLING).max(self.node_os.applied_at + QUIET));
        }
    }
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
