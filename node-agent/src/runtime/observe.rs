//! Looks at the runtime: its socket, its unit. Holds the connection, and the few facts that the host cannot report.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{sync::Notify, task::JoinHandle};

use super::model::{Health, MISS_SPACING, Observed, Service, ServiceState, UNIT};
use crate::clients::{
    cri::{CallError, Cri},
    systemd::{Systemd, Unit},
};

/// Watches over the runtime from pass to pass.
#[derive(Debug)]
pub struct Watcher {
    socket: PathBuf,
    changed: Arc<Notify>,
    cri: Option<Cri>,
    events: Option<JoinHandle<()>>,
    version: Option<(String, String)>,
    misses: u32,
    last_miss: Option<Duration>,
    last_pid: u32,
    /// Set by `act`: see [`Observed::killed_pid`].
    pub(super) killed_pid: Option<u32>,
    /// systemd forgets its count when a unit is started by hand; what it had counted before is kept here.
    earlier_restarts: u32,
    last_restarts: u32,
    /// Set by `act`: starts by us.
    pub(super) own_starts: u32,
}

impl Watcher {
    /// A watcher of the runtime that listens at `socket`; what happens to containers wakes `changed`.
    pub fn new(socket: PathBuf, changed: Arc<Notify>) -> Self {
        Self {
            socket,
            changed,
            cri: None,
            events: None,
            version: None,
            misses: 0,
            last_miss: None,
            last_pid: 0,
            killed_pid: None,
            earlier_restarts: 0,
            last_restarts: 0,
            own_starts: 0,
        }
    }

    /// The connection to the runtime, if there is one.
    pub fn cri(&self) -> Option<&Cri> {
        self.cri.as_ref()
    }

    /// Whether the runtime reports changes by itself, so that nobody needs to look again and again.
    pub fn reports_changes(&self) -> bool {
        self.events.as_ref().is_some_and(|events| !events.is_finished())
    }

    /// Asks the runtime how it is, and systemd how its unit is. `now` is the time since the agent started.
    pub async fn observe(&mut self, systemd: Option<&Systemd>, now: Duration) -> Observed {
        let health = self.health().await;
        let service = match systemd {
            Some(systemd) => match systemd.service(UNIT).await {
                Ok(unit) => Some(self.service(&unit)),
                Err(error) => {
                    log::warn!("{error:#}");
                    None
                }
            },
            None => None,
        };
        self.count_misses(&health, service, now);
        let restarts = self.earlier_restarts + self.last_restarts + self.own_starts;
        Observed {
            health,
            service,
            version: self.version.clone(),
            misses: self.misses,
            killed_pid: self.killed_pid,
            restarts,
        }
    }

    /// Asks for what is of use only once the node is ready: the stream of events, and the name and version, which it
    /// reports.
    pub async fn settle(&mut self) -> Option<(String, String)> {
        let cri = self.cri.clone()?;
        if self.version.is_none() {
            match cri.version().await {
                Ok(version) => self.version = Some(version),
                Err(error) => log::warn!("{error}"),
            }
        }
        if self.events.is_none() {
            let changed = Arc::clone(&self.changed);
            self.events = Some(tokio::spawn(async move {
                let Err(error) = cri.container_events(&changed).await;
                log::info!("no word of container changes any more: {error}");
                changed.notify_one();
            }));
        }
        self.version.clone()
    }

    async fn health(&mut self) -> Health {
        if self.cri.as_ref().is_some_and(Cri::is_closed) {
            self.disconnect();
        }
        let cri = match &self.cri {
            Some(cri) => cri,
            None => match Cri::connect(&self.socket).await {
                Ok(cri) => self.cri.insert(cri),
                Err(error) => return Health::Down { message: format!("{error:#}") },
            },
        };
        match cri.status().await {
            Ok(status) if status.ready => Health::Ready,
            Ok(status) => Health::NotReady { message: status.message },
            Err(CallError::Deadline { .. }) => Health::Silent,
            Err(CallError::Failed { message, .. }) => match cri.is_closed() {
                true => Health::Down { message },
                false => Health::NotReady { message },
            },
        }
    }

    fn disconnect(&mut self) {
        self.cri = None;
        self.version = None;
        if let Some(events) = self.events.take() {
            events.abort();
        }
    }

    fn service(&mut self, unit: &Unit) -> Service {
        if unit.restarts < self.last_restarts {
            self.earlier_restarts += self.last_restarts;
        }
        self.last_restarts = unit.restarts;
        let state = match unit.active_state.as_str() {
            "active" | "reloading" => ServiceState::Active,
            "inactive" | "failed" => ServiceState::Stopped,
            _ => ServiceState::Changing,
        };
        Service { state, main_pid: unit.main_pid, restarts: unit.restarts }
    }

    fn count_misses(&mut self, health: &Health, service: Option<Service>, now: Duration) {
        let pid = service.map_or(0, |service| service.main_pid);
        if pid != self.last_pid {
            // A new process starts with a clean sheet.
            self.last_pid = pid;
            self.misses = 0;
            self.last_miss = None;
        }
        let active = service.is_none_or(|service| service.state == ServiceState::Active);
        match health {
            Health::Ready | Health::NotReady { .. } => {
                self.misses = 0;
                self.last_miss = None;
            }
            Health::Down { .. } | Health::Silent if !active => self.misses = 0,
            Health::Down { .. } | Health::Silent => {
                if self.last_miss.is_none_or(|last| now.saturating_sub(last) >= MISS_SPACING) {
                    self.misses += 1;
                    self.last_miss = Some(now);
                }
            }
        }
    }
}
