//! The one loop: observe the host, plan, act, report, then wait for the next event or deadline.

mod cluster;
mod kubelet;
mod plan;
mod pods;
mod power;
mod releases;
mod report;
mod settings;
mod shell;
mod wait;

use std::{
    convert::Infallible,
    path::Path,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Notify, Semaphore, mpsc, watch},
    time::{interval_at, sleep, timeout},
};

use self::{
    cluster::Orders,
    plan::{Plan, plan},
};
use crate::{
    clients::{
        cri, esp,
        host::Host,
        identity::{self, OsRelease},
        initramfs,
        systemd::{self, BUS_SOCKET, Systemd},
        watch as watching,
    },
    cluster::act::Memberships,
    health, kubelet as kubelet_domain,
    pods::{self as pods_domain, desired::Desired},
    power::act::Power,
    report::{
        api,
        boot::{self, Boot},
        console,
        exec::{self, shell::AskedShell},
        metrics::{Server, Source},
        notify::Notifier,
        ready_line::ready_line,
        releases::Releases,
        reset,
        socket::{self, Asked, AskedPower, AskedSettings},
        status::Status,
        terminal::Terminal,
        warnings::Warnings,
    },
    runtime::{self, model::PROBE_EVERY},
    settings::{
        act::SettingsController,
        model::{Read, Shown},
    },
    storage, update,
};

/// After this long without READY the units that wait for us are let go, since they may be what is missing.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// systemd starts the container runtime; only if it does not come up is systemd asked what is wrong. Asking
/// earlier would cost the boot: systemd then sends us the signals of every unit.
const RUNTIME_TIMEOUT: Duration = Duration::from_secs(5);

/// The socket's appearing wakes us; this, doubling, is for the moment between the socket and the first answer.
const FIRST_RETRY: Duration = Duration::from_millis(20);

/// What the agent keeps over boots: a change in it may be one of the settings.
const STATE: &str = "/var/lib/ballast";

/// Operations that wait for the loop to look at them; it does so at once.
const ASKED: usize = 8;

/// Events come in bursts; one pass sees them all.
const BURST: Duration = Duration::from_millis(50);

/// Runs the agent until SIGTERM or SIGINT.
///
/// # Errors
/// If it cannot handle signals. All other trouble is reported, logged and tried again.
pub async fn run(host: Host) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("handling SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("handling SIGINT")?;
    let mut agent = Agent::new(host);
    tokio::select! {
        never = agent.turn() => match never {},
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    agent.notifier.stopping();
    log::info!("ending; pods run on");
    Ok(())
}

/// The domains, and what the loop itself keeps.
struct Agent {
    host: Host,
    started: Instant,
    /// Whether the console has a message by now if the node is not READY.
    is_overdue: bool,
    changed: Arc<Notify>,
    systemd: systemd::Link,
    runtime: runtime::observe::Watcher,
    pods: pods_domain::observe::Observer,
    jobs: pods_domain::act::Jobs,
    power: Power,
    asked_power: mpsc::Receiver<AskedPower>,
    asked_shell: mpsc::Receiver<AskedShell>,
    storage: storage::act::Resizer,
    update: update::act::Operations,
    asked: mpsc::Receiver<Asked>,
    settings: SettingsController,
    asked_settings: mpsc::Receiver<AskedSettings>,
    memberships: Memberships,
    kubelet: kubelet_domain::observe::Controller,
    /// Whether the images that the OS brings along were imported for a kubelet.
    has_provided_images: bool,
    orders: Orders,
    health_gate: health::gate::HealthGate,
    /// The figures of this boot; there since it was READY.
    boot: Option<Boot>,
    retry: Duration,
    notifier: Notifier,
    warnings: Warnings,
    /// What /init found wrong on its way.
    init_problems: Vec<String>,
    os: OsRelease,
    status: watch::Sender<Status>,
    releases: watch::Sender<Releases>,
    metrics: Server,
    terminal: Terminal,
    api: api::Server,
    shown: watch::Sender<Shown>,
    last: Option<(Desired, pods_domain::plan::Plan)>,
}

/// What is observed of the host in one pass. The parts below `runtime` are observed once the node was READY, or
/// has had its time for it.
struct Observed {
    systemd: Option<Systemd>,
    runtime: runtime::model::Observed,
    health: Option<health::model::Observed>,
    update: Option<update::model::Observed>,
    storage: Option<storage::model::Observed>,
    pods: Option<(Desired, pods_domain::model::Observed)>,
    kubelet: Option<kubelet::Observation>,
    settings: Option<Arc<Read>>,
    /// The node goes down: nothing begins any more.
    is_ending: bool,
}

impl Agent {
    /// What cannot be set up is reported and done without: a node with a full disk needs its agent all the more.
    fn new(host: Host) -> Self {
        let mut warnings = Warnings::default();
        let changed = Arc::new(Notify::new());
        let socket = host.path(cri::SOCKET);
        let mut folders = pods_domain::observe::folders(&host);
        folders.push(host.path(health::model::CHECKS));
        folders.push(host.path(STATE));
        folders.extend(socket.parent().map(Path::to_owned));
        for folder in &folders {
            warnings.note(watching::ensure_folder(folder));
        }
        warnings.note(watching::folders(&folders, Arc::clone(&changed)));
        let os = warnings.note(identity::os_release(&host)).unwrap_or_default();
        let init_problems = warnings.note(initramfs::problems(&host)).unwrap_or_default();
        let starting = Status { reasons: vec!["the agent has just started".to_owned()], ..Status::default() };
        let (status, published) = watch::channel(starting);
        let (releases, published_releases) = watch::channel(Releases::default());
        let (shown, published_settings) = watch::channel(Shown::default());
        let (asking, asked) = mpsc::channel(ASKED);
        let (asking_settings, asked_settings) = mpsc::channel(ASKED);
        let esp = esp::EspLock::default();
        let (asking_power, asked_power) = mpsc::channel(ASKED);
        let (asking_shell, asked_shell) = mpsc::channel(ASKED);
        let metrics = Source { host: host.clone(), status: published.clone(), releases: published_releases.clone() };
        let answers = socket::Answers {
            host: host.clone(),
            status: published,
            releases: published_releases,
            asked: asking,
            settings: published_settings,
            asked_settings: asking_settings,
            asked_power: asking_power,
            asked_shell: asking_shell,
            shells: Arc::new(Semaphore::new(1)),
            changed: Arc::clone(&changed),
        };
        let api = api::Server::new(host.clone(), answers.clone());
        warnings.note(socket::serve(&host, answers));
        tokio::spawn(reset::remember(host.clone()));
        // A look at a folder in memory: nobody ran a command on most nodes.
        if host.path(exec::FOLDER).exists() {
            tokio::spawn(exec::end_those_left(host.clone()));
        }
        if host.path(exec::shell::FOLDER).exists() {
            tokio::spawn(exec::shell::end_those_left(host.clone()));
        }
        Self {
            started: Instant::now(),
            is_overdue: false,
            runtime: runtime::observe::Watcher::new(socket, Arc::clone(&changed)),
            pods: pods_domain::observe::Observer::default(),
            jobs: pods_domain::act::Jobs::new(host.clone(), Arc::clone(&changed)),
            power: Power::new(host.clone(), Arc::clone(&changed)),
            asked_power,
            asked_shell,
            storage: storage::act::Resizer::new(host.clone(), Arc::clone(&changed)),
            update: update::act::Operations::new(host.clone(), esp.clone(), Arc::clone(&changed)),
            asked,
            settings: SettingsController::new(host.clone(), Arc::clone(&changed)),
            asked_settings,
            memberships: Memberships::new(host.clone(), Arc::clone(&changed)),
            kubelet: kubelet_domain::observe::Controller::new(host.clone(), Arc::clone(&changed)),
            has_provided_images: false,
            orders: Orders::default(),
            health_gate: health::gate::HealthGate::new(esp, Arc::clone(&changed)),
            systemd: systemd::Link::new(host.path(BUS_SOCKET), Arc::clone(&changed)),
            changed,
            boot: boot::recall(&host),
            retry: FIRST_RETRY,
            notifier: Notifier::default(),
            warnings,
            init_problems,
            os,
            status,
            releases,
            metrics: Server::new(metrics),
            terminal: Terminal::default(),
            api,
            shown,
            last: None,
            host,
        }
    }

    async fn turn(&mut self) -> Infallible {
        loop {
            let wait = self.watched_pass().await;
            Notifier::alive();
            // That the whole time passed is as good as an event.
            let _ = timeout(wait, self.changed.notified()).await;
            if self.boot.is_some() {
                sleep(BURST).await;
            }
        }
    }

    /// One turn of the loop, in which a disk that is slow is no reason for systemd to end the agent: starting again makes no disk faster. What
    /// else hangs is.
    async fn watched_pass(&mut self) -> Duration {
        let host = self.host.clone();
        let every = Notifier::watchdog_every().unwrap_or(PROBE_EVERY);
        let mut alive = interval_at(tokio::time::Instant::now() + every, every);
        let pass = self.pass();
        tokio::pin!(pass);
        loop {
            tokio::select! {
                wait = &mut pass => return wait,
                _ = alive.tick() => if host.waits_for_disk() { Notifier::alive() },
            }
        }
    }

    /// One turn of the loop; returns how long to wait for an event before the next.
    async fn pass(&mut self) -> Duration {
        let ended = self.update.ended();
        let changed = self.settings.ended().await;
        let observed = self.observe().await;
        let now = SystemTime::now();
        let unattended = self.unattended(observed.settings(), now);
        let plan = plan(&observed, unattended, now);
        let wait = self.wait(&observed, &plan);
        self.act(&observed, &plan).await;
        self.report(observed, plan).await;
        for ended in ended {
            // It may have stopped waiting.
            let _ = ended.send(());
        }
        if let Some(changed) = changed {
            changed.report().await;
        }
        wait
    }

    async fn observe(&mut self) -> Observed {
        let mut systemd = self.systemd().await;
        let runtime = self.runtime.observe(systemd.as_ref(), self.started.elapsed()).await;
        if runtime.is_ready() && self.boot.is_none() {
            self.become_ready();
            systemd = self.systemd().await;
        }
        let mut observed = Observed {
            systemd,
            runtime,
            health: None,
            update: None,
            storage: None,
            pods: None,
            kubelet: None,
            settings: None,
            is_ending: self.power.is_ending(),
        };
        // A node that does not get READY is looked at as a whole all the same, only later.
        if self.boot.is_none() && self.started.elapsed() < READY_TIMEOUT {
            return observed;
        }
        observed.settings = self.observe_settings().await;
        observed.health = Some(self.observe_health(&observed).await);
        let releases = self.host.read(update::observe::DOING, update::observe::observe).await;
        observed.update = self.warnings.note(releases);
        let storage = self.host.read("looking at the node's disk", storage::observe::observe).await;
        observed.storage = self.warnings.note(storage).flatten();
        if observed.runtime.is_ready() {
            observed.runtime.version = self.runtime.settle().await;
            observed.pods = self.observe_pods(observed.settings()).await;
        }
        observed.kubelet = self.observe_kubelet(&observed).await;
        observed
    }

    async fn observe_health(&mut self, observed: &Observed) -> health::model::Observed {
        let (systemd, wants_network) = (observed.systemd.as_ref(), observed.settings().health.network);
        let (health, errors) =
            health::observe::observe(&self.host, systemd, &mut self.health_gate, wants_network).await;
        errors.iter().for_each(|error| self.warnings.report(format!("{error:#}")));
        health
    }

    async fn systemd(&mut self) -> Option<Systemd> {
        let is_wanted = self.boot.is_some() || self.started.elapsed() >= RUNTIME_TIMEOUT;
        if is_wanted { self.systemd.get().await } else { None }
    }

    /// The moment that the boot is for. Everything that can wait comes after it.
    fn become_ready(&mut self) {
        let mut boot = self.warnings.note(boot::measure(&self.host)).unwrap_or_default();
        let line = ready_line(&self.os.version, &boot);
        self.warnings.note(console::print(&self.host, &line));
        self.warnings.note(boot::record(&self.host, &mut boot));
        self.notifier.ready();
        log::info!("{line}");
        self.warnings.note(boot::remember(&self.host, &boot));
        self.boot = Some(boot);
    }

    async fn act(&mut self, observed: &Observed, plan: &Plan) {
        if let (Some(step), Some(systemd)) = (plan.runtime, &observed.systemd) {
            let result = self.runtime.act(step, systemd).await;
            self.warnings.note(result);
        }
        if let Some(health) = &observed.health
            && !self.health_gate.is_rebooting()
        {
            let verdict = self.executable(&plan.health, observed).await;
            let result = self.health_gate.act(&verdict, health, &self.host, observed.systemd.as_ref()).await;
            self.warnings.note(result);
        }
        self.act_on_settings(observed).await;
        self.act_on_releases(observed, plan).await;
        if let Some(read) = &observed.settings {
            self.act_on_clusters(&read.settings).await;
        }
        self.act_on_kubelet(observed, &plan.kubelet).await;
        self.act_on_power(observed).await;
        self.act_on_shells(observed).await;
        self.storage.start(&plan.storage);
        self.act_on_pods(observed, plan.pods.as_ref());
    }
}

/// Seconds since 1970; 0 for a clock that is further back.
fn unix_secs(now: SystemTime) -> u64 {
    now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
