//! systemd's manager, spoken to over the system bus. Its private socket would need no bus, but names a sender there that
//! zbus refuses: only unique names are allowed in that place.

mod boot;
mod jobs;
mod link;

use std::{path::Path, sync::Arc, time::Duration};

pub use self::{
    boot::{Moments, Started},
    jobs::{systemctl_power_off, systemctl_reboot},
    link::Link,
};
use anyhow::{Context, Result};
use futures_util::StreamExt;
use serde::{Deserialize, de::DeserializeOwned};
use tokio::{sync::Notify, task::JoinHandle, time::timeout};
use zbus::{
    Connection, MatchRule, MessageStream,
    message::Type,
    zvariant::{DynamicType, OwnedObjectPath, OwnedValue, Type as Signature},
};

/// Where the system bus listens (D-Bus Specification, "System message bus"); the first to connect starts the broker.
pub const BUS_SOCKET: &str = "/run/dbus/system_bus_socket";

const NAME: &str = "org.freedesktop.systemd1";
const MANAGER: &str = "/org/freedesktop/systemd1";
const MANAGER_INTERFACE: &str = "org.freedesktop.systemd1.Manager";

/// PID 1 answers at once or is in trouble; the loop must not wait longer than its watchdog allows.
const DEADLINE: Duration = Duration::from_secs(5);

/// What systemd says of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// `active`, `activating`, `failed`, `inactive`, …
    pub active_state: String,
    /// The main process, 0 if there is none.
    pub main_pid: u32,
    /// How often systemd restarted it by itself since its last start by hand.
    pub restarts: u32,
}

/// A connection to systemd's manager.
#[derive(Debug, Clone)]
pub struct Systemd {
    connection: Connection,
    reader: Arc<JoinHandle<()>>,
    /// How long an answer may take.
    timeout: Duration,
}

/// One row of ListUnits (org.freedesktop.systemd1(5)).
#[derive(Debug, Deserialize, Signature)]
struct Row {
    name: String,
    _description: String,
    _load_state: String,
    active_state: String,
    sub_state: String,
    _following: String,
    path: OwnedObjectPath,
    _job_id: u32,
    _job_type: String,
    _job_path: OwnedObjectPath,
}

impl Systemd {
    /// Connects to the system bus at `path`. Each change of a unit's state, and the end of the connection, wakes `changed`.
    ///
    /// What changed is not parsed: that something did says that there may be something to see.
    ///
    /// # Errors
    /// If the bus cannot be connected to, or systemd does not answer there. There is no deadline.
    async fn connect(path: &Path, changed: Arc<Notify>) -> Result<Self> {
        let builder = zbus::connection::Builder::address(format!("unix:path={}", path.display()).as_str())?;
        let connection = builder.build().await?;
        let changes = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender(NAME)?
            .path_namespace(format!("{MANAGER}/unit"))?
            .interface("org.freedesktop.DBus.Properties")?
            .member("PropertiesChanged")?
            .arg(0, "org.freedesktop.systemd1.Unit")?
            .build();
        let mut messages = MessageStream::for_match_rule(changes, &connection, None).await?;
        let reader = tokio::spawn(async move {
            while let Some(Ok(_)) = messages.next().await {
                changed.notify_one();
            }
            changed.notify_one();
        });
        let systemd = Self { connection, reader: Arc::new(reader), timeout: DEADLINE };
        // Without a subscriber systemd keeps its signals to itself.
        systemd.connection.call_method(Some(NAME), MANAGER, Some(MANAGER_INTERFACE), "Subscribe", &()).await?;
        Ok(systemd)
    }

    /// Whether the connection broke; a new one is to be made then.
    fn is_closed(&self) -> bool {
        self.reader.is_finished()
    }

    /// The state of the service `name`.
    ///
    /// # Errors
    /// If systemd does not answer, or does not know the service.
    pub async fn service(&self, name: &str) -> Result<Unit> {
        let path = unit_path(name);
        Ok(Unit {
            active_state: self.property(&path, "Unit", "ActiveState").await?,
            main_pid: self.property(&path, "Service", "MainPID").await?,
            restarts: self.property(&path, "Service", "NRestarts").await?,
        })
    }

    /// The names of all failed units, sorted.
    ///
    /// # Errors
    /// If systemd does not answer.
    pub async fn failed_units(&self) -> Result<Vec<String>> {
        self.units_in("failed").await
    }

    /// The names of all units that ended and that systemd is about to start again, sorted.
    ///
    /// # Errors
    /// If systemd does not answer.
    pub async fn restarting_units(&self) -> Result<Vec<String>> {
        self.units_in("auto-restart").await
    }

    async fn units_in(&self, state: &str) -> Result<Vec<String>> {
        let rows: Vec<Row> = self.manager("ListUnitsFiltered", &([state].as_slice(),)).await?;
        let mut names: Vec<String> = rows.into_iter().map(|row| row.name).collect();
        names.sort();
        Ok(names)
    }

    /// What the unit `name` does: `active`, `activating`, `failed`, `inactive`, …
    ///
    /// # Errors
    /// If systemd does not answer, or does not know the unit.
    pub async fn active_state(&self, name: &str) -> Result<String> {
        self.property(&unit_path(name), "Unit", "ActiveState").await
    }

    /// Forgets that `name` failed, so that a start limit no longer holds it back, and queues its start.
    ///
    /// # Errors
    /// If systemd does not answer or refuses.
    pub async fn start(&self, name: &str) -> Result<()> {
        self.forget_failure(name).await;
        let _job: OwnedObjectPath = self.manager("StartUnit", &(name, "replace")).await?;
        Ok(())
    }

    /// Sends SIGKILL to the main process of `name` and to no other: the pods' shims live in the same control group.
    ///
    /// # Errors
    /// If systemd does not answer or refuses.
    pub async fn kill_main(&self, name: &str) -> Result<()> {
        self.manager("KillUnit", &(name, "main", 9_i32)).await
    }

    /// With which status the last main process of `name` ended, or the signal that ended it.
    ///
    /// # Errors
    /// If systemd does not answer, or does not know the unit.
    pub async fn exit_status(&self, name: &str) -> Result<i32> {
        self.property(&unit_path(name), "Service", "ExecMainStatus").await
    }

    /// Queues the start of `name` anew, whether it runs or not; that it failed is forgotten.
    ///
    /// # Errors
    /// If systemd does not answer or refuses.
    pub async fn restart(&self, name: &str) -> Result<()> {
        self.forget_failure(name).await;
        let _job: OwnedObjectPath = self.manager("RestartUnit", &(name, "replace")).await?;
        Ok(())
    }

    /// Queues the end of `name`.
    ///
    /// # Errors
    /// If systemd does not answer or refuses.
    pub async fn stop(&self, name: &str) -> Result<()> {
        let _job: OwnedObjectPath = self.manager("StopUnit", &(name, "replace")).await?;
        Ok(())
    }

    async fn forget_failure(&self, name: &str) {
        // Refused for a unit that is not loaded; starting it loads it, and reports if that is the trouble.
        if let Err(error) = self.call::<()>(MANAGER, MANAGER_INTERFACE, "ResetFailedUnit", &(name,)).await {
            log::debug!("{error:#}");
        }
    }

    async fn property<T>(&self, path: &str, interface: &str, name: &str) -> Result<T>
    where
        T: TryFrom<OwnedValue>,
        T::Error: std::error::Error + Send + Sync + 'static,
    {
        let interface = format!("org.freedesktop.systemd1.{interface}");
        let value: OwnedValue =
            self.call(path, "org.freedesktop.DBus.Properties", "Get", &(interface.as_str(), name)).await?;
        T::try_from(value).with_context(|| format!("reading {name} of {path}"))
    }

    async fn manager<T>(&self, method: &str, body: &(impl serde::Serialize + DynamicType)) -> Result<T>
    where
        T: DeserializeOwned + Signature,
    {
        self.call(MANAGER, MANAGER_INTERFACE, method, body).await
    }

    async fn call<T>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        body: &(impl serde::Serialize + DynamicType),
    ) -> Result<T>
    where
        T: DeserializeOwned + Signature,
    {
        let doing = || format!("asking systemd for {method} of {path}");
        let call = self.connection.call_method(Some(NAME), path, Some(interface), method, body);
        let reply = within(self.timeout, call).await.with_context(doing)?;
        reply.body().deserialize().with_context(doing)
    }
}

async fn within<T>(limit: Duration, work: impl Future<Output = zbus::Result<T>>) -> Result<T> {
    Ok(timeout(limit, work).await.with_context(|| format!("no answer within {} s", limit.as_secs()))??)
}

/// The object path of a unit: what is not a letter or a digit is escaped (sd_bus_path_encode(3)).
fn unit_path(name: &str) -> String {
    let mut path = format!("{MANAGER}/unit/");
    for (index, byte) in name.bytes().enumerate() {
        let plain = byte.is_ascii_alphabetic() || (index > 0 && byte.is_ascii_digit());
        if plain { path.push(char::from(byte)) } else { path.push_str(&format!("_{byte:02x}")) }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_names_are_escaped_as_sd_bus_does() {
        for (name, escaped) in [("containerd.service", "containerd_2eservice"), ("1-x.mount", "_31_2dx_2emount")] {
            assert_eq!(unit_path(name), format!("{MANAGER}/unit/{escaped}"));
        }
    }
}
