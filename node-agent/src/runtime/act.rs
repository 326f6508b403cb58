//! Does what the plan says to the runtime's unit.

use anyhow::{Context, Result};

use super::{
    model::{Step, UNIT},
    observe::Watcher,
};
use crate::clients::systemd::Systemd;

impl Watcher {
    /// Does `step`. The next pass observes the result.
    ///
    /// # Errors
    /// If systemd does not do it.
    pub async fn act(&mut self, step: Step, systemd: &Systemd) -> Result<()> {
        match step {
            Step::Start => {
                log::warn!("{UNIT} does not run: starting it");
                systemd.start(UNIT).await.context("starting the container runtime")?;
                self.own_starts += 1;
            }
            Step::Kill { pid } => {
                log::error!("{UNIT} does not answer: killing its main process {pid}");
                systemd.kill_main(UNIT).await.context("killing the container runtime")?;
                self.killed_pid = Some(pid);
            }
        }
        Ok(())
    }
}
