//! Jobs of systemd whose end matters (org.freedesktop.systemd1(5): JobRemoved).

use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::StreamExt;
use tokio::time::timeout;
use zbus::{MatchRule, MessageStream, message::Type, zvariant::OwnedObjectPath};

use super::{MANAGER, MANAGER_INTERFACE, NAME, Systemd};
use crate::clients::{exec, host::Host};

/// For when there is no bus.
const SYSTEMCTL: &str = "/usr/bin/systemctl";

/// systemctl hands the order over and ends.
const SYSTEMCTL_TIME: Duration = Duration::from_secs(20);

impl Systemd {
    /// Starts the unit `name` and waits at most for `deadline` until it is up, or, if it is one that ends, until it has ended.
    ///
    /// # Errors
    /// If systemd does not answer or refuses, the unit or one that it requires fails, or it takes too long.
    pub async fn start_and_wait(&self, name: &str, deadline: Duration) -> Result<()> {
        self.forget_failure(name).await;
        self.job("StartUnit", name, deadline).await.with_context(|| format!("starting {name}"))
    }

    /// Restarts the unit `name` if it runs, and waits at most for `deadline` until it is up again.
    ///
    /// # Errors
    /// As for [`Self::start_and_wait`].
    pub async fn restart_if_it_runs(&self, name: &str, deadline: Duration) -> Result<()> {
        self.job("TryRestartUnit", name, deadline).await.with_context(|| format!("restarting {name}"))
    }

    /// Has the unit `name` read its configuration anew if it runs, by a restart if it cannot otherwise, and waits at most for `deadline`.
    ///
    /// # Errors
    /// As for [`Self::start_and_wait`].
    pub async fn reload_if_it_runs(&self, name: &str, deadline: Duration) -> Result<()> {
        self.job("ReloadOrTryRestartUnit", name, deadline).await.with_context(|| format!("reloading {name}"))
    }

    /// Queues a job by `method` for the unit `name`, and waits at most for `deadline` until it is done.
    async fn job(&self, method: &str, name: &str, deadline: Duration) -> Result<()> {
        let ends = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender(NAME)?
            .path(MANAGER)?
            .interface(MANAGER_INTERFACE)?
            .member("JobRemoved")?
            .build();
        // Before the job: it may end before its name is known here.
        let mut ends = MessageStream::for_match_rule(ends, &self.connection, None).await?;
        let job: OwnedObjectPath = self.manager(method, &(name, "replace")).await?;
        let end = async {
            while let Some(message) = ends.next().await {
                let (_id, removed, _unit, result): (u32, OwnedObjectPath, String, String) =
                    message?.body().deserialize().context("reading JobRemoved")?;
                if removed == job {
                    return Ok(result);
                }
            }
            bail!("the connection to systemd ended");
        };
        let late = || format!("it did not end within {} s", deadline.as_secs());
        let result = timeout(deadline, end).await.with_context(late).and_then(|result| result)?;
        match result.as_str() {
            "done" => Ok(()),
            "dependency" => bail!("a unit that it requires failed"),
            other => bail!("{other}"),
        }
    }

    /// Stops all units and reboots the machine.
    ///
    /// # Errors
    /// If systemd does not answer or refuses.
    pub async fn reboot(&self) -> Result<()> {
        let _job: OwnedObjectPath = self.manager("StartUnit", &("reboot.target", "replace-irreversibly")).await?;
        Ok(())
    }
}

/// Has systemd reboot through systemctl, which needs no bus: for callers without one, or when it is what is broken.
///
/// # Errors
/// If systemd does not take the order.
pub async fn systemctl_reboot(host: &Host) -> Result<()> {
    systemctl(host, "reboot").await.context("rebooting")
}

/// Has systemd switch the machine off, in the same way.
///
/// # Errors
/// If systemd does not take the order.
pub async fn systemctl_power_off(host: &Host) -> Result<()> {
    systemctl(host, "poweroff").await.context("switching off")
}

async fn systemctl(host: &Host, what: &str) -> Result<()> {
    // In a tree of files that tests make it is not there, and nothing reboots.
    let systemctl = host.path(SYSTEMCTL).display().to_string();
    exec::run(&systemctl, ["--no-block", what], SYSTEMCTL_TIME).await.map(drop)
}
