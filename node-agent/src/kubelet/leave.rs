//! The node goes down: the unit ends, or it would begin its pods anew, and then its pods end.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{model::UNIT, observe::Controller, pods};
use crate::clients::{cri::Cri, systemd::Systemd};

/// As the unit's TimeoutStopSec, and a moment for systemd.
const UNIT_ENDS: Duration = Duration::from_secs(25);

/// How often systemd is asked.
const POLL: Duration = Duration::from_millis(200);

impl Controller {
    /// Begins it, once; whether it is done.
    pub fn leave(&mut self, systemd: Option<&Systemd>, cri: &Cri) -> bool {
        let leaving = self.leaving.get_or_insert_with(|| {
            let (systemd, cri, changed) = (systemd.cloned(), cri.clone(), Arc::clone(&self.changed));
            tokio::spawn(async move {
                if let Some(systemd) = systemd {
                    end_unit(&systemd).await;
                }
                if let Err(error) = pods::stop(&cri).await {
                    log::warn!("{error:#}");
                }
                changed.notify_one();
            })
        });
        leaving.is_finished()
    }

    /// It does not go down after all; the next step begins what is to run.
    pub fn stay(&mut self) {
        if let Some(leaving) = self.leaving.take() {
            leaving.abort();
        }
    }
}

async fn end_unit(systemd: &Systemd) {
    if let Err(error) = systemd.stop(UNIT).await {
        return log::warn!("ending the kubelet: {error:#}");
    }
    let until = Instant::now() + UNIT_ENDS;
    while Instant::now() < until {
        match systemd.active_state(UNIT).await.as_deref() {
            Ok("inactive" | "failed") => return,
            Ok(_) | Err(_) => sleep(POLL).await,
        }
    }
    log::warn!("{UNIT} did not end within {} s", UNIT_ENDS.as_secs());
}
