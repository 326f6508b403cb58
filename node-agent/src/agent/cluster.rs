//! What the loop does for the clusters: says them what the domains know, and has their orders carried out by the one that releases are the
//! business of.

use std::{collections::VecDeque, sync::Arc};

use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::AbortHandle,
};

use super::Agent;
use crate::{
    cluster::{
        self,
        model::{
            ApiFacts, Asked, Facts, Failed, FailedRelease, Hosted, Operation, Order, Os, Prepared, Release, Report,
        },
    },
    health,
    report::status::Status,
    runtime,
    settings::model::Settings,
    update::{
        self,
        model::{Command, Deployment, Event, Failure, FailureKind, Outcome, Progress, Upgrade},
    },
};

/// What the domains know of the machine at one moment, as far as it is reported to clusters.
pub(super) struct Known<'a> {
    pub(super) runtime: &'a runtime::model::Observed,
    pub(super) health: Option<&'a health::model::Observed>,
    pub(super) update: Option<&'a update::model::Observed>,
    pub(super) settings_problems: Vec<String>,
    /// Whether the settings say the machine's name.
    pub(super) hostname_is_set: bool,
    pub(super) status: &'a Status,
    /// What was reported about the clusters themselves: a cluster learns nothing of another.
    pub(super) reports: &'a [Report],
    pub(super) kubelet: Option<Hosted>,
}

/// Orders of clusters: those that wait, and the one that is carried out.
#[derive(Debug, Default)]
pub(super) struct Orders {
    waiting: VecDeque<Asked>,
    underway: Option<Underway>,
}

/// An image that is being prepared.
#[derive(Debug)]
struct Underway {
    cluster: String,
    id: u64,
    image: String,
    end: oneshot::Receiver<Result<Outcome, Failure>>,
    listening: AbortHandle,
}

/// Who stops listening to an operation cancels it.
impl Drop for Underway {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Orders {
    /// Takes an order. What its cluster asked for before is not wanted any more.
    fn take(&mut self, asked: Asked) {
        self.forget(&asked.cluster);
        self.waiting.push_back(asked);
    }

    /// Gives up what the cluster `name` asked for.
    fn forget(&mut self, name: &str) {
        self.waiting.retain(|asked| asked.cluster != name);
        self.underway.take_if(|underway| underway.cluster == name);
    }

    /// The order to carry out now. Preparing an image waits for the running operation, whoever requested that; a reboot does not: the slot that it
    /// is for may be another's by then, so its cluster asks again.
    fn next(&mut self, is_busy: bool) -> Option<Asked> {
        if !is_busy {
            return self.waiting.pop_front();
        }
        self.waiting.retain(|asked| matches!(asked.order, Order::Prepare { .. }));
        None
    }

    /// What came of the image that was being prepared, once it is known.
    fn ended(&mut self) -> Option<(String, Result<Prepared, Failed>)> {
        let underway = self.underway.as_mut()?;
        let result = match underway.end.try_recv() {
            Err(oneshot::error::TryRecvError::Empty) => return None,
            Err(oneshot::error::TryRecvError::Closed) => {
                let message = "the operation ended without a word".to_owned();
                Err(Failure { kind: FailureKind::Failed, message })
            }
            Ok(result) => result,
        };
        let underway = self.underway.take()?;
        Some((underway.cluster.clone(), underway.result(result)))
    }

    /// The running operation, as it is reported to clusters. A cluster's own operation that has ended is reported until its outcome is known here:
    /// with neither of them reported, the cluster would conclude that its order was lost, and give it again.
    fn operation(&self, running: Option<(&Command, Progress)>) -> Option<Operation> {
        let reported = running.map(|(command, progress)| Operation {
            name: command.name().to_owned(),
            phase: progress.phase.name().to_owned(),
            image: progress.image,
            fetched_bytes: progress.fetched_bytes,
            total_bytes: progress.total_bytes,
        });
        let ends = |underway: &Underway| Operation {
            name: Command::Upgrade(Upgrade::default()).name().to_owned(),
            phase: "end".to_owned(),
            image: Some(underway.image.clone()),
            ..Operation::default()
        };
        reported.or_else(|| self.underway.as_ref().map(ends))
    }
}

impl Underway {
    fn result(&self, result: Result<Outcome, Failure>) -> Result<Prepared, Failed> {
        let (order, image) = (self.id, self.image.clone());
        match result {
            Ok(outcome) => {
                let digest = outcome.digest.map(|digest| digest.to_string()).unwrap_or_default();
                Ok(Prepared { order, image, digest })
            }
            Err(Failure { kind, message }) => {
                Err(Failed { order, image, refused: kind == FailureKind::Refused, message, digest: None })
            }
        }
    }
}

impl Agent {
    /// Begins and ends memberships as the settings say, and carries out their orders, one at a time.
    pub(super) async fn act_on_clusters(&mut self, settings: &Settings) {
        for name in self.memberships.keep(&settings.clusters).await {
            self.orders.forget(&name);
        }
        // Before new orders are taken, which drop what their cluster asked for before.
        match self.orders.ended() {
            Some((name, Ok(prepared))) => self.memberships.prepared(&name, prepared),
            Some((name, Err(failed))) => self.memberships.failed(&name, failed),
            None => {}
        }
        while let Some(asked) = self.memberships.asked() {
            log::info!("cluster {} asks: {:?}", asked.cluster, asked.order);
            if let Order::Kubelet { digest } = asked.order {
                self.kubelet.permit(digest);
                continue;
            }
            match cluster::plan::overruled(&asked, &self.memberships.reports(), &settings.clusters) {
                None => self.orders.take(asked),
                Some(message) => self.refuse(asked, message),
            }
        }
        let is_busy = self.orders.underway.is_some() || self.update.running().is_some();
        match self.orders.next(is_busy) {
            Some(Asked { cluster, order: Order::Prepare { id, image } }) => self.prepare(cluster, id, image, settings),
            Some(Asked { cluster, order: Order::Reboot { .. } }) if !self.power.is_up() => {
                log::info!("cluster {cluster} asks for a reboot, and the node goes down otherwise; it asks again");
            }
            Some(Asked { cluster, order: Order::Reboot { reason } }) => {
                self.update.reboot(&format!("cluster {cluster} asks for it: {reason}"));
            }
            // A kubelet's was carried out when it came.
            Some(Asked { order: Order::Kubelet { .. }, .. }) | None => {}
        }
    }

    /// Says no to an order. A reboot has no answer: its cluster hears of it when it asks for the image.
    fn refuse(&mut self, asked: Asked, message: String) {
        let Asked { cluster, order } = asked;
        log::warn!("cluster {cluster} is refused: {message}");
        self.orders.forget(&cluster);
        if let Order::Prepare { id: order, image } = order {
            self.memberships.failed(&cluster, Failed { order, image, refused: true, message, digest: None });
        }
    }

    fn prepare(&mut self, cluster: String, id: u64, image: String, settings: &Settings) {
        let (client, events) = mpsc::channel(1);
        let settings = self.update_settings(settings);
        self.update.ask(Command::Upgrade(upgrade(&image)), client, &settings);
        let (ending, end) = oneshot::channel();
        let listening = tokio::spawn(listen(events, ending, Arc::clone(&self.changed))).abort_handle();
        self.orders.underway = Some(Underway { cluster, id, image, end, listening });
    }

    /// Sends the clusters what is known now.
    pub(super) async fn report_clusters(&mut self, known: Known<'_>) {
        if self.memberships.is_empty() {
            return;
        }
        let os = self.os.clone();
        let machine = self.host.read("looking at this machine", move |host| Ok(cluster::observe::machine(host, &os)));
        let (machine, errors) = known_machine(machine.await);
        errors
            .iter()
            .for_each(|error| self.warnings.report(format!("reporting this machine to its clusters: {error:#}")));
        let Some(machine) = machine else { return };
        let mut facts = facts(machine, known);
        facts.boot.ready_ms = self.boot.as_ref().and_then(|boot| boot.ready_ms);
        facts.leaves = self.power.drains();
        facts.os.operation = self.orders.operation(self.update.running());
        self.memberships.report(&facts);
    }
}

/// An older release is taken only where exactly that one is named: a tag that moved back is no such request.
fn upgrade(image: &str) -> Upgrade {
    Upgrade { image: Some(image.to_owned()), allow_downgrade: image.contains("@sha256:"), ..Upgrade::default() }
}

/// Waits for an operation's end and wakes the loop for it.
async fn listen(
    mut events: mpsc::Receiver<Event>,
    ending: oneshot::Sender<Result<Outcome, Failure>>,
    changed: Arc<Notify>,
) {
    let result = loop {
        match events.recv().await {
            Some(Event::Progress(_)) => {}
            Some(Event::Done(outcome)) => break Ok(outcome),
            Some(Event::Failed(failure)) => break Err(failure),
            None => return changed.notify_one(),
        }
    };
    // Nobody may want to know any more.
    let _ = ending.send(result);
    changed.notify_one();
}

/// The machine, if it could be looked at. Else clusters keep what they received last: a machine without processors, in another boot, is news that
/// ends rollouts.
fn known_machine(read: anyhow::Result<(Facts, Vec<anyhow::Error>)>) -> (Option<Facts>, Vec<anyhow::Error>) {
    match read {
        Ok((machine, errors)) => (Some(machine).filter(|machine| !machine.boot_id.is_empty()), errors),
        Err(error) => (None, vec![error]),
    }
}

/// The machine's facts with what the domains know.
fn facts(machine: Facts, known: Known<'_>) -> Facts {
    let Known { runtime, health, update, settings_problems, hostname_is_set, status, reports, kubelet } = known;
    let of_clusters: Vec<String> = reports.iter().flat_map(cluster::plan::reasons).collect();
    let api = status.api.as_ref().map(|api| ApiFacts {
        address: cluster::plan::reachable(&api.address, &machine.addresses),
        fingerprint: api.fingerprint.clone(),
    });
    let own = |reason: &&String| !settings_problems.contains(reason) && !of_clusters.contains(reason);
    Facts {
        runtime_version: runtime
            .version
            .as_ref()
            .map(|(name, version)| format!("{name}://{version}"))
            .unwrap_or_default(),
        ready: runtime::plan::reason(runtime).map_or(Ok(()), Err),
        degraded: status.reasons.iter().filter(own).cloned().collect(),
        settings_problems,
        runtime_restarts: runtime.restarts,
        hostname_is_set,
        hosted: kubelet,
        api,
        os: Os {
            on_trial: health.is_none_or(|health| health.trial.is_some()),
            ..update.map(|update| os(update, &status.os.version)).unwrap_or_default()
        },
        ..machine
    }
}

fn os(observed: &update::model::Observed, booted_version: &str) -> Os {
    let deployments = update::plan::deployments(observed);
    let find = |is: fn(&Deployment) -> bool| deployments.iter().find(|one| is(one)).map(release);
    let failed = observed.memory.failed.iter().map(|failed| FailedRelease {
        digest: failed.digest.to_string(),
        version: failed.version.clone(),
        reason: failed.reason.clone(),
        at: failed.at,
    });
    Os {
        booted: find(|one| one.booted)
            .unwrap_or_else(|| Release { version: booted_version.to_owned(), ..Release::default() }),
        next: find(|one| one.next && !one.booted),
        last_good: find(|one| one.last_good),
        failed: failed.collect(),
        ..Os::default()
    }
}

fn release(deployment: &Deployment) -> Release {
    Release {
        image: deployment.image.clone().unwrap_or_default(),
        digest: deployment.digest.as_ref().map(ToString::to_string).unwrap_or_default(),
        version: deployment.version.clone(),
    }
}

#[cfg(test)]
mod tests;
