//! A watch: where it goes on, and when it is opened again.

use std::time::Duration;

use ballast_client::backoff;
use futures_util::{StreamExt, stream::BoxStream};

use crate::{
    client::{Failure, Kind},
    random,
};

/// A watch is asked for a random number of seconds in this range: the kubelet's.
const WATCH_SECS: (f64, f64) = (300.0, 600.0);

/// A watch that ends earlier than this is opened again later and later.
const SHORT_WATCH: Duration = Duration::from_secs(10);

/// The first such wait, and the longest.
const WATCH_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A watch that reports `T`; closed at first.
pub(super) struct Watching<T> {
    stream: Option<BoxStream<'static, Result<T, Failure>>>,
    opened: Duration,
    /// How often it ended right after it had begun.
    short: u32,
    /// From where on it goes on.
    version: Option<String>,
}

impl<T> Default for Watching<T> {
    fn default() -> Self {
        Self { stream: None, opened: Duration::ZERO, short: 0, version: None }
    }
}

impl<T> Watching<T> {
    pub(super) fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    /// From where on it goes on; None: from what there is.
    pub(super) fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// From here on it goes on when it is opened the next time.
    pub(super) fn goes_on_from(&mut self, version: Option<String>) {
        self.version = version;
    }

    /// What came of opening it at `now`.
    pub(super) fn open(
        &mut self,
        opened: Result<BoxStream<'static, Result<T, Failure>>, Failure>,
        now: Duration,
    ) -> Result<(), Failure> {
        if opened.as_ref().is_err_and(|failure| failure.kind() == Kind::Gone) {
            self.version = None;
        }
        self.stream = Some(opened?);
        self.opened = now;
        Ok(())
    }

    /// Gives it up; whether it was open.
    pub(super) fn close(&mut self) -> bool {
        self.stream.take().is_some()
    }

    /// It ended at `now`: how long until it is opened again.
    pub(super) fn ended(&mut self, now: Duration) -> Duration {
        let is_short = now.saturating_sub(self.opened) < SHORT_WATCH;
        self.stream = None;
        self.short = if is_short { self.short.saturating_add(1) } else { 0 };
        let (first, longest) = WATCH_PAUSE;
        backoff::full_jitter(first, longest, self.short, random::fraction())
    }

    /// The next thing that it reports; a closed one waits for ever.
    pub(super) async fn next(&mut self) -> Option<Result<T, Failure>> {
        match &mut self.stream {
            Some(stream) => stream.next().await,
            None => std::future::pending().await,
        }
    }
}

/// For how long a watch is asked.
pub(super) fn watch_secs() -> u64 {
    let (least, most) = WATCH_SECS;
    Duration::from_secs_f64(least + (most - least) * random::fraction()).as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watches_that_end_at_once_are_opened_again_later_and_later() {
        let mut watching = Watching::<()>::default();
        let secs = Duration::from_secs;
        let mut longest = [Duration::ZERO; 8];
        for _ in 0..200 {
            watching.short = 0;
            for most in &mut longest {
                watching.open(Ok(futures_util::stream::pending().boxed()), secs(100)).unwrap();
                *most = (*most).max(watching.ended(secs(101)));
                assert!(!watching.is_open());
            }
        }
        // Full jitter: of so many the longest is close to the whole.
        for (most, whole) in longest.into_iter().zip([1, 2, 4, 8, 16, 32, 60, 60]) {
            assert!(most <= secs(whole) && most > secs(whole) / 2, "{most:?} of {whole} s");
        }
        watching.open(Ok(futures_util::stream::pending().boxed()), secs(100)).unwrap();
        watching.ended(secs(400));
        assert_eq!(watching.short, 0, "it lasted");
    }

    #[test]
    fn a_version_that_is_too_old_is_forgotten() {
        let mut watching = Watching::<()>::default();
        watching.goes_on_from(Some("7".to_owned()));
        let refusal = |code| {
            let (reason, message) = (String::new(), String::new());
            Err(Failure::Refused(crate::client::Refusal { code, reason, message, retry_after: None }))
        };
        assert!(watching.open(refusal(500), Duration::ZERO).is_err());
        assert_eq!(watching.version(), Some("7"));
        assert!(watching.open(refusal(410), Duration::ZERO).is_err());
        assert_eq!(watching.version(), None);
    }
}
