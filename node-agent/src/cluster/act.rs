//! Begins and ends memberships, brings them the facts, and collects what they ask for and report.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use ballast_cluster::{Membership, credentials::Kept};
use tokio::{
    sync::{Notify, mpsc, watch},
    task::{AbortHandle, JoinHandle},
    time::Instant,
};

use super::{
    model::{Asked, Config, Done, Facts, Failed, Order, Os, Prepared, Report, Step},
    plan::{is_news, plan, without_credentials},
};
use crate::{clients::host::Host, settings::model::Cluster};

/// Where a membership keeps what it was given when it joined, in a folder with the cluster's name.
const FOLDER: &str = "/var/lib/ballast/clusters";

/// Where the membership of the cluster `name` keeps its certificate and key.
pub fn credentials_file(name: &str) -> String {
    format!("{FOLDER}/{name}/{}", Kept::Client.name())
}

/// Where it keeps the certificate and key that the node's kubelet shows, once somebody approved them.
pub fn serving_file(name: &str) -> String {
    format!("{FOLDER}/{name}/{}", Kept::Serving.name())
}

/// Where it keeps an authority that it found by its hash.
pub fn authority_file(name: &str) -> String {
    format!("{FOLDER}/{name}/{}", Kept::Authority.name())
}

/// Orders that wait for the loop to look at them; it does so at once.
const ORDERS: usize = 8;

/// A membership never ends by itself; if one does, it is not begun again at once.
const BEGIN_AGAIN: Duration = Duration::from_secs(30);

/// The memberships that there are.
#[derive(Debug)]
pub struct Memberships {
    host: Host,
    changed: Arc<Notify>,
    running: BTreeMap<String, Running>,
    /// What is reported about the clusters that cannot be joined.
    idle: Vec<Report>,
    asking: mpsc::Sender<Asked>,
    asked: mpsc::Receiver<Asked>,
}

#[derive(Debug)]
struct Running {
    config: Config,
    begun: Instant,
    facts: watch::Sender<Arc<Facts>>,
    report: watch::Receiver<Report>,
    done: Done,
    task: JoinHandle<()>,
    follower: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
        self.follower.abort();
    }
}

impl Memberships {
    /// None yet. What one asks for or has to report wakes `changed`.
    pub fn new(host: Host, changed: Arc<Notify>) -> Self {
        let (asking, asked) = mpsc::channel(ORDERS);
        Self { host, changed, running: BTreeMap::new(), idle: Vec::new(), asking, asked }
    }

    /// Whether there is no membership, so that nobody wants to know facts.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// Begins and ends memberships until they are those that the settings want; returns which ended.
    pub async fn keep(&mut self, wanted: &[Cluster]) -> Vec<String> {
        let mut ended = Vec::new();
        self.running.retain(|name, running| {
            let is_over = running.task.is_finished() && running.begun.elapsed() >= BEGIN_AGAIN;
            if is_over {
                log::error!("the membership of cluster {name} ended by itself; it begins again");
                ended.push(name.clone());
            }
            !is_over
        });
        let kept = match self.kept(wanted).await {
            Ok(kept) => kept,
            // Nobody is left for that.
            Err(error) => {
                log::warn!("{error:#}");
                return ended;
            }
        };
        let is_kept = |name: &str| kept.iter().any(|kept| kept == name);
        for step in plan(self.running.values().map(|running| &running.config), wanted, is_kept) {
            match step {
                Step::End { name } => {
                    log::info!("leaving cluster {name} as the settings say; what the node was given there is kept");
                    self.running.remove(&name);
                    ended.push(name);
                }
                Step::Begin { config } => self.begin(*config),
            }
        }
        let is_idle = |one: &&Cluster| !self.running.contains_key(&one.name.to_string());
        self.idle = wanted.iter().filter(is_idle).map(without_credentials).collect();
        ended
    }

    /// Those of `wanted` that keep a certificate which the node was given earlier.
    async fn kept(&self, wanted: &[Cluster]) -> anyhow::Result<Vec<String>> {
        let mut names: Vec<String> = wanted.iter().map(|cluster| cluster.name.to_string()).collect();
        if names.is_empty() {
            return Ok(names);
        }
        let are_kept = move |host: &Host| {
            names.retain(|name| host.path(FOLDER).join(name).join(Kept::Client.name()).exists());
            Ok(names)
        };
        self.host.read("looking for certificates of clusters", are_kept).await
    }

    /// Brings the memberships what the machine reports; each learns what became of its own orders.
    pub fn report(&self, facts: &Facts) {
        for running in self.running.values() {
            let Done { prepared, failure } = running.done.clone();
            let os = Os { prepared, failure, ..facts.os.clone() };
            let facts = Facts { os, ..facts.clone() };
            running.facts.send_if_modified(|known| {
                let is_news = **known != facts;
                *known = Arc::new(facts);
                is_news
            });
        }
    }

    /// The next order, if there is one.
    pub fn asked(&mut self) -> Option<Asked> {
        std::iter::from_fn(|| self.asked.try_recv().ok()).find(|asked| self.running.contains_key(&asked.cluster))
    }

    /// Keeps in mind that an order of the cluster `name` was carried out.
    pub fn prepared(&mut self, name: &str, prepared: Prepared) {
        if let Some(running) = self.running.get_mut(name) {
            running.done.prepared = Some(prepared);
        }
    }

    /// Keeps in mind that an order of the cluster `name` failed.
    pub fn failed(&mut self, name: &str, failed: Failed) {
        if let Some(running) = self.running.get_mut(name) {
            running.done.failure = Some(failed);
        }
    }

    /// What is known of each cluster, by name.
    pub fn reports(&self) -> Vec<Report> {
        let mut reports = self.idle.clone();
        reports.extend(self.running.iter().map(|(name, running)| {
            let Config { role, .. } = running.config;
            Report { name: name.clone(), role, ..running.report.borrow().clone() }
        }));
        reports.sort_by(|one, other| one.name.cmp(&other.name));
        reports
    }

    fn begin(&mut self, config: Config) {
        let (facts, reported) = watch::channel(Arc::new(Facts::default()));
        let (reporting, report) = watch::channel(Report::default());
        let (ordering, orders) = mpsc::channel(ORDERS);
        let folder: PathBuf = self.host.path(FOLDER).join(&config.name);
        let task = Membership::start(config.clone(), folder, reported, ordering, reporting);
        let follower =
            follow(config.name.clone(), orders, report.clone(), self.asking.clone(), Arc::clone(&self.changed));
        let follower = tokio::spawn(follower).abort_handle();
        let name = config.name.clone();
        let running = Running { config, begun: Instant::now(), facts, report, done: Done::default(), task, follower };
        self.running.insert(name, running);
    }
}

/// Hands over what the membership of `cluster` asks for, and wakes the loop for it and for what people must know.
async fn follow(
    cluster: String,
    mut orders: mpsc::Receiver<Order>,
    mut report: watch::Receiver<Report>,
    asking: mpsc::Sender<Asked>,
    changed: Arc<Notify>,
) {
    let mut reported = Report::default();
    loop {
        tokio::select! {
            order = orders.recv() => {
                let Some(order) = order else { return };
                if asking.send(Asked { cluster: cluster.clone(), order }).await.is_err() {
                    return;
                }
            }
            news = report.changed() => {
                if news.is_err() {
                    return;
                }
                let now = report.borrow_and_update().clone();
                if !is_news(&reported, &now) {
                    continue;
                }
                reported = now;
            }
        }
        changed.notify_one();
    }
}
