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
        let ends = MatchRule::builder()
            .msg_type(Type::Signal)
            .sender(NAME)?
            .path(MANAGER)?
            .interface(MANAGER_INTERFACE)?
            .member("JobRemoved")?
            .build();
        // Before the start: the job may end before its name is known here.
        let mut ends = MessageStream::for_match_rule(ends, &self.connection, None).await?;
        self.forget_failure(name).await;
        let job: OwnedObjectPath = self.manager("StartUnit", &(name, "replace")).await?;
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
        let doing = || format!("starting {name}");
        let late = || format!("it did not end within {} s", deadline.as_secs());
        let result = timeout(deadline, end).await.with_context(late).and_then(|result| result).with_context(doing)?;
        match result.as_str() {
            "done" => Ok(()),
            "dependency" => bail!("starting {name}: a unit that it requires failed"),
            other => bail!("starting {name}: {other}"),
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
    // In a tree of files that tests make it is not there, and nothing reboots.
    let systemctl = host.path(SYSTEMCTL).display().to_string();
    exec::run(&systemctl, ["--no-block", "reboot"], SYSTEMCTL_TIME).await.map(drop).context("rebooting")
}
