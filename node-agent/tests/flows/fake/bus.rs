//! A system bus with only systemd on it, as far as the agent asks of it.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use tokio::{net::UnixListener, task::JoinHandle};
use zbus::{
    Guid, connection, fdo, interface,
    object_server::SignalEmitter,
    zvariant::{ObjectPath, OwnedObjectPath},
};

/// What systemd knows, and what it was asked.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) failed: Vec<String>,
    pub(crate) active_state: String,
    pub(crate) main_pid: u32,
    pub(crate) restarts: u32,
    pub(crate) calls: Vec<String>,
    /// How jobs end; `done` if nothing is said.
    pub(crate) results: VecDeque<String>,
}

#[derive(Clone, Default)]
pub(crate) struct Systemd {
    state: Arc<Mutex<State>>,
}

/// A row of ListUnits.
type Row = (String, String, String, String, String, String, OwnedObjectPath, u32, String, OwnedObjectPath);

impl Systemd {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Serves at `path` until the task is aborted.
    pub(crate) fn serve(&self, path: &Path) -> JoinHandle<()> {
        let listener = UnixListener::bind(path).unwrap();
        let systemd = self.clone();
        tokio::spawn(async move {
            let mut connections = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                let unit = "/org/freedesktop/systemd1/unit/containerd_2eservice";
                let builder = connection::Builder::unix_stream(stream).server(Guid::generate()).unwrap().p2p();
                let builder = builder.serve_at("/org/freedesktop/DBus", Bus).unwrap();
                let builder = builder.serve_at("/org/freedesktop/systemd1", Manager(systemd.clone())).unwrap();
                let builder = builder.serve_at(unit, Unit(systemd.clone())).unwrap();
                let builder = builder.serve_at(unit, Service(systemd.clone())).unwrap();
                let kubelet = "/org/freedesktop/systemd1/unit/ballast_2dkubelet_2eservice";
                let builder = builder.serve_at(kubelet, RestingUnit).unwrap();
                let builder = builder.serve_at(kubelet, RestingService).unwrap();
                let booted = "/org/freedesktop/systemd1/unit/multi_2duser_2etarget";
                let builder = builder.serve_at(booted, Target).unwrap();
                connections.push(builder.build().await.unwrap());
            }
        })
    }
}

struct Bus;

#[interface(name = "org.freedesktop.DBus")]
impl Bus {
    fn hello(&self) -> String {
        ":1.1".to_owned()
    }

    fn add_match(&self, _rule: &str) {}

    fn remove_match(&self, _rule: &str) {}
}

struct Manager(Systemd);

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    fn subscribe(&self) {}

    fn list_units_filtered(&self, states: Vec<String>) -> Vec<Row> {
        if states != ["failed"] {
            return Vec::new();
        }
        let root = || OwnedObjectPath::from(ObjectPath::from_static_str_unchecked("/"));
        let text = String::new;
        let row =
            |name: &String| (name.clone(), text(), text(), "failed".into(), text(), text(), root(), 0, text(), root());
        self.0.state().failed.iter().map(row).collect()
    }

    fn reset_failed_unit(&self, name: &str) {
        self.0.state().calls.push(format!("ResetFailedUnit {name}"));
    }

    async fn start_unit(
        &self,
        name: &str,
        mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> fdo::Result<OwnedObjectPath> {
        {
            let mut state = self.0.state();
            state.active_state = "active".to_owned();
            state.main_pid += 1;
        }
        self.job(format!("StartUnit {name} {mode}"), name, &emitter).await
    }

    async fn try_restart_unit(
        &self,
        name: &str,
        mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> fdo::Result<OwnedObjectPath> {
        self.job(format!("TryRestartUnit {name} {mode}"), name, &emitter).await
    }

    async fn stop_unit(
        &self,
        name: &str,
        mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> fdo::Result<OwnedObjectPath> {
        self.job(format!("StopUnit {name} {mode}"), name, &emitter).await
    }

    async fn reload_or_try_restart_unit(
        &self,
        name: &str,
        mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> fdo::Result<OwnedObjectPath> {
        self.job(format!("ReloadOrTryRestartUnit {name} {mode}"), name, &emitter).await
    }

    #[zbus(signal)]
    async fn job_removed(
        emitter: &SignalEmitter<'_>,
        id: u32,
        job: ObjectPath<'_>,
        unit: &str,
        result: &str,
    ) -> zbus::Result<()>;

    fn kill_unit(&self, name: &str, whom: &str, signal: i32) -> fdo::Result<()> {
        self.0.state().calls.push(format!("KillUnit {name} {whom} {signal}"));
        Ok(())
    }
}

struct Unit(Systemd);

#[interface(name = "org.freedesktop.systemd1.Unit")]
impl Unit {
    #[zbus(property)]
    fn active_state(&self) -> String {
        self.0.state().active_state.clone()
    }
}

impl Manager {
    /// Notes `call`, and ends its job at once.
    async fn job(&self, call: String, unit: &str, emitter: &SignalEmitter<'_>) -> fdo::Result<OwnedObjectPath> {
        let result = {
            let mut state = self.0.state();
            state.calls.push(call);
            state.results.pop_front().unwrap_or_else(|| "done".to_owned())
        };
        let job = ObjectPath::from_static_str_unchecked("/org/freedesktop/systemd1/job/1");
        Self::job_removed(emitter, 1, job.clone(), unit, &result).await?;
        Ok(job.into())
    }
}

/// The kubelet's unit, which does not run.
struct RestingUnit;

#[interface(name = "org.freedesktop.systemd1.Unit")]
impl RestingUnit {
    #[zbus(property)]
    fn active_state(&self) -> String {
        "inactive".to_owned()
    }
}

/// See [`RestingUnit`].
struct RestingService;

#[interface(name = "org.freedesktop.systemd1.Service")]
impl RestingService {
    #[zbus(property, name = "MainPID")]
    fn main_pid(&self) -> u32 {
        0
    }

    #[zbus(property, name = "NRestarts")]
    fn restarts(&self) -> u32 {
        0
    }

    #[zbus(property, name = "ExecMainStatus")]
    fn status(&self) -> i32 {
        0
    }
}

/// multi-user.target, which is reached.
struct Target;

#[interface(name = "org.freedesktop.systemd1.Unit")]
impl Target {
    #[zbus(property)]
    fn active_state(&self) -> String {
        "active".to_owned()
    }
}

struct Service(Systemd);

#[interface(name = "org.freedesktop.systemd1.Service")]
impl Service {
    #[zbus(property, name = "MainPID")]
    fn main_pid(&self) -> u32 {
        self.0.state().main_pid
    }

    #[zbus(property, name = "NRestarts")]
    fn restarts(&self) -> u32 {
        self.0.state().restarts
    }
}
