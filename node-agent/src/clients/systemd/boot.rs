//! What systemd knows of the boot: its own moments, and when each unit started and was up (org.freedesktop.systemd1(5)).

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use tokio::time::timeout;

use super::{MANAGER, Row, Systemd};

/// Somebody waits who would rather wait than be refused: the bus broker starts when the first client comes, and systemd answers
/// late, amid the rest of the boot.
const TIMEOUT: Duration = Duration::from_secs(30);

/// CPUUsageNSec of a unit that has no account.
const NOT_SET: u64 = u64::MAX;

/// systemd's own moments, in microseconds since the kernel started; 0 is "not yet" or "never".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moments {
    /// It became process 1.
    pub userspace_us: u64,
    /// Generators began to run.
    pub generators_start_us: u64,
    /// They were done.
    pub generators_end_us: u64,
    /// It began to load units.
    pub load_start_us: u64,
    /// It was done with that.
    pub load_end_us: u64,
    /// All that was to be started at boot was.
    pub finish_us: u64,
}

/// One unit that has started at least once; its latest start. Microseconds since the kernel started, 0 is "never".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Started {
    /// Its name.
    pub name: String,
    /// It began to start.
    pub start_us: u64,
    /// It was up; a oneshot that does not stay so never is.
    pub up_us: u64,
    /// It was down again, the last time that it was.
    pub down_us: u64,
    /// CPU time until now, or until it ended.
    pub cpu_us: Option<u64>,
    /// Whether it has neither ended nor failed.
    pub runs: bool,
}

impl Systemd {
    /// A connection over the bus at `path` for a few questions: nobody is woken up by what happens.
    ///
    /// # Errors
    /// If the bus cannot be connected to in time.
    pub async fn for_questions(path: &Path) -> Result<Self> {
        let builder = zbus::connection::Builder::address(format!("unix:path={}", path.display()).as_str())?;
        let doing = || format!("connecting to systemd over the bus at {}", path.display());
        let connection = timeout(TIMEOUT, builder.build()).await.with_context(doing)?.with_context(doing)?;
        let reader = Arc::new(tokio::spawn(std::future::pending()));
        Ok(Self { connection, reader, timeout: TIMEOUT })
    }

    /// Its own moments.
    ///
    /// # Errors
    /// If systemd does not answer.
    pub async fn moments(&self) -> Result<Moments> {
        Ok(Moments {
            userspace_us: self.moment("Userspace").await?,
            generators_start_us: self.moment("GeneratorsStart").await?,
            generators_end_us: self.moment("GeneratorsFinish").await?,
            load_start_us: self.moment("UnitsLoadStart").await?,
            load_end_us: self.moment("UnitsLoadFinish").await?,
            finish_us: self.moment("Finish").await?,
        })
    }

    /// All services and mounts that have started, in no order.
    ///
    /// # Errors
    /// If systemd does not answer.
    pub async fn started(&self) -> Result<Vec<Started>> {
        let (any_state, patterns): (&[&str], &[&str]) = (&[], &["*.service", "*.mount"]);
        let rows: Vec<Row> = self.manager("ListUnitsByPatterns", &(any_state, patterns)).await?;
        let mut started = Vec::new();
        for row in rows {
            let path = row.path.as_str();
            let start_us = self.property(path, "Unit", "InactiveExitTimestampMonotonic").await?;
            if start_us == 0 {
                continue;
            }
            let kind = if row.name.ends_with(".mount") { "Mount" } else { "Service" };
            let cpu_ns: u64 = self.property(path, kind, "CPUUsageNSec").await?;
            started.push(Started {
                start_us,
                up_us: self.property(path, "Unit", "ActiveEnterTimestampMonotonic").await?,
                down_us: self.property(path, "Unit", "InactiveEnterTimestampMonotonic").await?,
                cpu_us: (cpu_ns != NOT_SET).then_some(cpu_ns / 1000),
                runs: !matches!(row.active_state.as_str(), "inactive" | "failed") && row.sub_state != "exited",
                name: row.name,
            });
        }
        Ok(started)
    }

    async fn moment(&self, name: &str) -> Result<u64> {
        self.property(MANAGER, "Manager", &format!("{name}TimestampMonotonic")).await
    }
}
