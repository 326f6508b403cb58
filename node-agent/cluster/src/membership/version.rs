//! The API server's version: a kubelet may not be newer.

use std::time::Duration;

use super::{member::Member, pace::Duty};
use crate::{
    client::{Failure, Kind},
    observe,
};

/// A control plane is upgraded now and then.
const EVERY: Duration = Duration::from_secs(600);

impl Member {
    /// Where it is not known, no kubelet is held to it.
    pub(super) async fn ask_version(&mut self) -> Result<(), Failure> {
        let asked = observe::server_version(&self.access.client.own()).await;
        self.schedule.set(Duty::Version, self.now() + EVERY);
        match asked {
            Ok(version) => self.status_reporter.set_server_version(Some(version)),
            Err(failure @ (Failure::Unreachable(_) | Failure::Late { .. })) => return Err(failure),
            Err(failure) if failure.kind() == Kind::Unknown => return Err(failure),
            Err(failure) => {
                log::info!("cluster {}: the API server's version: {failure}", self.applicant.config.name);
                self.status_reporter.set_server_version(None);
            }
        }
        Ok(())
    }
}
