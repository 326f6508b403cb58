//! What went wrong on the way to a registry, whether trying again may help, and when. Pure but for the waiting itself.

use std::time::Duration;

use anyhow::Error;
use ballast_client::backoff::equal_jitter;
use http::StatusCode;

use crate::failure::{Kind, kind};

/// The first wait; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(500);

/// No wait of our own is longer.
const LONGEST: Duration = Duration::from_secs(30);

/// Nor one that the registry asks for: after this the caller shall hear of it.
const LONGEST_ASKED: Duration = Duration::from_secs(120);

/// So much content in one go shows that the way is open again, and the counting starts afresh.
const PROGRESS_BYTES: u64 = 64 * 1024;

pub(crate) enum Failure {
    /// May be over soon; perhaps the registry said when.
    Passing(Error, Option<Duration>),
    /// Is so, and stays so.
    Final(Error),
    /// The registry answered, and has no such thing.
    NotFound(Error),
}

impl Failure {
    /// What kind of failure it is, if it is one that a client can do something about.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Passing(error, _) => Some(kind(error).unwrap_or(Kind::Unreachable)),
            Self::NotFound(_) => Some(Kind::NotFound),
            Self::Final(error) => kind(error),
        }
    }

    pub(crate) fn into_error(self) -> Error {
        let (Self::Passing(error, _) | Self::Final(error) | Self::NotFound(error)) = self;
        error
    }

    pub(crate) fn passing(error: impl Into<Error>) -> Self {
        Self::Passing(error.into(), None)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// Whether an answer with this status means that the same request may be answered later.
pub(super) fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

/// Counts attempts.
pub(crate) struct Backoff {
    attempts: u32,
    failed: u32,
    since_failure_bytes: u64,
}

impl Backoff {
    pub(crate) fn new(attempts: u32) -> Self {
        Self { attempts, failed: 0, since_failure_bytes: 0 }
    }

    pub(crate) fn progress(&mut self, bytes: usize) {
        self.since_failure_bytes += bytes as u64;
        if self.since_failure_bytes >= PROGRESS_BYTES {
            self.failed = 0;
        }
    }

    /// Waits until the next attempt is due, if there is to be one.
    pub(crate) async fn pause(&mut self, failure: Failure) -> Result<(), Failure> {
        let Failure::Passing(error, asked) = failure else { return Err(failure) };
        self.since_failure_bytes = 0;
        self.failed += 1;
        let Some(wait) = wait(self.failed, self.attempts, asked, fastrand::f64()) else {
            return Err(Failure::Passing(error, asked));
        };
        log::info!("trying again in {} ms: {error:#}", wait.as_millis());
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

/// The wait after the `failed`-th failure in a row, if there is another attempt. `jitter` (from 0 to 1) spreads the nodes of a fleet.
fn wait(failed: u32, attempts: u32, asked: Option<Duration>, jitter: f64) -> Option<Duration> {
    if failed >= attempts || asked.is_some_and(|asked| asked > LONGEST_ASKED) {
        return None;
    }
    Some(asked.unwrap_or_default().max(equal_jitter(FIRST, LONGEST, failed, jitter)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_are_spread() {
        let ms = |failed, asked: Option<u64>, jitter| {
            wait(failed, 10, asked.map(Duration::from_secs), jitter).map(|wait| wait.as_millis())
        };
        let table = [
            (1, None, 1.0, Some(500)),
            (1, None, 0.0, Some(250)),
            (2, None, 1.0, Some(1000)),
            (3, None, 0.0, Some(1000)),
            (9, None, 1.0, Some(30_000)),
            (10, None, 1.0, None),
            (1, Some(0), 1.0, Some(500)),
            (1, Some(7), 1.0, Some(7000)),
            (1, Some(120), 0.0, Some(120_000)),
            (1, Some(121), 0.0, None),
        ];
        for (failed, asked, jitter, expected) in table {
            assert_eq!(ms(failed, asked, jitter), expected, "{failed} {asked:?} {jitter}");
        }
    }

    #[test]
    fn only_some_answers_are_worth_another_request() {
        for (status, passing) in [(500, true), (503, true), (429, true), (408, true), (404, false), (401, false)] {
            assert_eq!(is_passing(StatusCode::from_u16(status).unwrap()), passing);
        }
    }

    #[tokio::test]
    async fn progress_gives_new_attempts() {
        let mut backoff = Backoff::new(2);
        let mut fail = async |bytes| {
            backoff.progress(bytes);
            backoff.pause(Failure::passing(anyhow::anyhow!("x"))).await.is_ok()
        };
        assert_eq!((fail(0).await, fail(10).await, fail(70_000).await, fail(0).await), (true, false, true, false));
    }
}
