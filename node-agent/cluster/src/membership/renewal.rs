//! The certificate's renewal: it may take long, and the heartbeat goes on meanwhile.

use std::{sync::Arc, time::Duration};

use ballast_client::backoff;
use tokio::task::JoinSet;

use super::{member::Member, status_reporter::seconds};
use crate::{
    credentials::{Access, Certificate, Problem},
    plan::rotation,
    random,
};

/// How long after a renewal that failed it is tried again: at first, at most.
const RENEWAL_WAIT: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(600));

/// A certificate is used for at least this part of what is left of it.
const LEAST_PART: u32 = 10;

/// When it is due, and the one that runs.
#[derive(Default)]
pub(super) struct Renewal {
    running: JoinSet<Result<Access, Problem>>,
    /// In seconds since 1970.
    due: Option<u64>,
    failures: u32,
    not_before: Duration,
}

impl Renewal {
    /// How long the certificate needs no renewal.
    pub(super) fn wait(&self, now: Duration) -> Duration {
        let Some(due) = self.due.filter(|_| self.running.is_empty()) else { return Duration::MAX };
        Duration::from_secs(due.saturating_sub(seconds())).max(self.not_before.saturating_sub(now))
    }

    /// What came of the one that runs; None if none does.
    pub(super) async fn next(&mut self) -> Option<Result<Access, Problem>> {
        let renewed = self.running.join_next().await?;
        Some(renewed.unwrap_or_else(|error| Err(Problem::Own(error.to_string()))))
    }

    /// `certificate` is used from `now` on, if it is ours to renew.
    fn certified(&mut self, ours: Option<&Certificate>, now: Duration) {
        self.due = ours.map(|ours| rotation::renew_at(ours.from_secs(), ours.until_secs(), random::fraction()));
        self.failures = 0;
        // Signers date back. A certificate that is due from its first moment on is renewed at times, not for ever.
        let left = ours.map(|ours| Duration::from_secs(ours.until_secs().saturating_sub(seconds())));
        self.not_before = now + left.unwrap_or_default() / LEAST_PART;
    }

    fn failed(&mut self, now: Duration) {
        self.failures += 1;
        let (first, longest) = RENEWAL_WAIT;
        self.not_before = now + backoff::spread(backoff::doubled(first, longest, self.failures), random::fraction());
    }
}

impl Member {
    /// The certificate of the way in is another: none that is being renewed counts any more.
    pub(super) fn certified(&mut self) {
        self.renewal.running = JoinSet::new();
        let certificate = self.access.certificate.as_ref();
        self.status_reporter.holds_until(certificate.map(Certificate::until_secs));
        let now = self.now();
        self.renewal.certified(certificate.filter(|_| self.access.is_own), now);
    }

    pub(super) fn renew_if_due(&mut self) {
        if self.renewal.wait(self.now()).is_zero() {
            let (applicant, client) = (Arc::clone(&self.applicant), self.access.client.clone());
            self.renewal.running.spawn(async move { applicant.renewed(&client).await });
        }
    }

    pub(super) fn renewed(&mut self, renewed: Result<Access, Problem>) {
        const DOING: &str = "renewing the certificate";
        match renewed {
            Ok(access) => {
                log::info!("cluster {}: the certificate was renewed", self.applicant.config.name);
                self.status_reporter.clear_problem(DOING);
                self.enters(access);
            }
            Err(problem) => {
                let now = self.now();
                self.renewal.failed(now);
                self.status_reporter.set_problem(DOING, problem.to_string());
            }
        }
    }
}
