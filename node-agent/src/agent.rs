//! The one loop: look at the host, plan, act, report, then wait for the next event or deadline.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use crate::{
    clients::{
        cri,
        host::Host,
        identity::{self, OsRelease},
        proc,
        systemd::{BUS_SOCKET, Systemd},
        watch as watching,
    },
    report::{
        boot::{self, Boot},
        console,
        notify::Notifier,
        socket,
        status::{Node, Os, Runtime, Status, summary},
    },
    runtime::{self, observe::Watcher},
};

/// After this long without READY the units that wait for us are let go, since they may be what is missing.
const READY_PATIENCE: Duration = Duration::from_secs(60);

/// systemd is starting the container runtime by itself; only if nothing comes of it is it asked what is wrong. Asking
/// earlier would cost the boot: systemd then sends us the signals of every unit.
const RUNTIME_PATIENCE: Duration = Duration::from_secs(5);

/// Until the runtime answers for the first time, a look is cheap: the socket's appearing wakes us, this is for the
/// moment between the socket and the first answer.
const FIRST_RETRY: Duration = Duration::from_millis(20);

/// Events come in bursts; one pass sees them all.
const BURST: Duration = Duration::from_millis(50);

/// Runs the agent until SIGTERM or SIGINT.
///
/// # Errors
/// If it cannot set itself up: folders, sockets, watches. Later trouble is reported, logged and tried again.
pub async fn run(host: Host) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("handling SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("handling SIGINT")?;
    let mut agent = Agent::new(host)?;
    tokio::select! {
        never = agent.turn() => match never {},
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    agent.notifier.stopping();
    log::info!("ending; pods run on");
    Ok(())
}

struct Agent {
    host: Host,
    started: Instant,
    changed: Arc<Notify>,
    systemd: Option<Systemd>,
    runtime: Watcher,
    boot: Option<Boot>,
    retry: Duration,
    notifier: Notifier,
    os: OsRelease,
    status: watch::Sender<Status>,
}

impl Agent {
    fn new(host: Host) -> Result<Self> {
        let socket_folder = host.path("/run/containerd");
        watching::ensure_folder(&host.path("/run/ballast"))?;
        watching::ensure_folder(&socket_folder)?;
        let changed = Arc::new(Notify::new());
        watching::folders([socket_folder.as_path()], Arc::clone(&changed))?;
        let os = identity::os_release(&host).unwrap_or_else(|error| {
            log::warn!("{error:#}");
            OsRelease::default()
        });
        let (status, published) = watch::channel(Status::default());
        socket::serve(&host, published)?;
        Ok(Self {
            started: Instant::now(),
            runtime: Watcher::new(host.path(cri::SOCKET), Arc::clone(&changed)),
            changed,
            systemd: None,
            boot: boot::recall(&host),
            retry: FIRST_RETRY,
            notifier: Notifier::default(),
            os,
            status,
            host,
        })
    }

    async fn turn(&mut self) -> std::convert::Infallible {
        loop {
            let wait = self.pass().await;
            self.notifier.alive();
            // That it took the whole time is as good as an event.
            let _ = timeout(wait, self.changed.notified()).await;
            if self.boot.is_some() {
                sleep(BURST).await;
            }
        }
    }

    /// One turn of the loop; tells how long to wait for an event before the next.
    async fn pass(&mut self) -> Duration {
        self.connect_systemd().await;
        let now = self.started.elapsed();
        let observed = self.runtime.observe(self.systemd.as_ref(), now).await;
        if observed.is_ready() && self.boot.is_none() {
            self.become_ready();
        }
        if self.boot.is_some() {
            self.runtime.settle().await;
        }
        let step = runtime::plan::plan(&observed);
        if let (Some(step), Some(systemd)) = (step, &self.systemd) {
            if let Err(error) = self.runtime.act(step, systemd).await {
                log::error!("{error:#}");
            }
        }
        self.report(&observed);
        self.wait(&observed)
    }

    async fn connect_systemd(&mut self) {
        if self.systemd.as_ref().is_some_and(Systemd::is_closed) {
            self.systemd = None;
        }
        let wanted = self.boot.is_some() || self.started.elapsed() >= RUNTIME_PATIENCE;
        if self.systemd.is_none() && wanted {
            match Systemd::connect(&self.host.path(BUS_SOCKET), Arc::clone(&self.changed)).await {
                Ok(systemd) => self.systemd = Some(systemd),
                Err(error) => log::warn!("{error:#}"),
            }
        }
    }

    fn become_ready(&mut self) {
        let boot = boot::measure(&self.host).unwrap_or_else(|error| {
            log::warn!("{error:#}");
            Boot::default()
        });
        let line = boot::ready_line(&self.os.version, &boot);
        if let Err(error) = console::print(&self.host, &line) {
            log::warn!("{error:#}");
        }
        self.notifier.ready();
        log::info!("{line}");
        if let Err(error) = boot::remember(&self.host, &boot) {
            log::warn!("{error:#}");
        }
        self.boot = Some(boot);
    }

    fn report(&mut self, runtime: &runtime::model::Observed) {
        let (name, version) = runtime.version.clone().unwrap_or_default();
        let status = Status {
            os: Os { id: self.os.id.clone(), version: self.os.version.clone(), commit: None, digest: None },
            ready: runtime.is_ready(),
            reasons: runtime::plan::reason(runtime).into_iter().collect(),
            boot: self.boot.clone().unwrap_or_default(),
            node: Node {
                hostname: proc::hostname(&self.host).unwrap_or_default(),
                machine_id: identity::machine_id(&self.host).unwrap_or_default(),
            },
            runtime: Runtime { name, version, ready: runtime.is_ready(), restarts: runtime.restarts },
            ..Status::default()
        };
        if status.ready || self.started.elapsed() >= READY_PATIENCE {
            self.notifier.ready();
        }
        self.notifier.status(&summary(&status));
        self.status.send_replace(status);
    }

    fn wait(&mut self, runtime: &runtime::model::Observed) -> Duration {
        let mut wait = runtime::model::PROBE_EVERY;
        if self.boot.is_none() {
            let before_systemd = self.systemd.is_none();
            if before_systemd {
                wait = wait.min(RUNTIME_PATIENCE);
            }
            if matches!(runtime.health, runtime::model::Health::NotReady { .. }) {
                wait = wait.min(self.retry);
                self.retry = self.retry.saturating_mul(2);
            }
        }
        self.notifier.watchdog_every().map_or(wait, |every| wait.min(every))
    }
}
