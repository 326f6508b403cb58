//! When each duty is due: its own rhythm, and its own back-off when it fails. No clock: times are since the membership began.

use std::{collections::BTreeMap, time::Duration};

use ballast_client::backoff;

use crate::client::Kind;

/// The first wait after a failure is at most this, each further one at most twice as long.
const FIRST: Duration = Duration::from_secs(1);

/// The longest wait for what may be over soon.
const LONGEST: Duration = Duration::from_secs(60);

/// The longest wait for a server to come back: a node that waited longer would not be ready again within a minute of it.
const LONGEST_UNREACHABLE: Duration = Duration::from_secs(30);

/// The longest wait for what somebody has to put right.
const LONGEST_WRONG: Duration = Duration::from_secs(300);

/// The first wait after a no: an API server that has just started knows nobody's rights for a moment.
const FIRST_FORBIDDEN: Duration = Duration::from_secs(2);

/// A server is not believed that asks for a longer wait.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

/// What a membership does in its cluster, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Duty {
    /// Makes the Node, or finds it.
    Register,
    /// Renews the Lease.
    Beat,
    /// Reports the Node's status.
    Report,
    /// Asks for the API server's version: a kubelet may not be newer.
    Version,
    /// Makes the NodeOS if there is none, and watches it.
    Watch,
    /// Watches the pods that are bound to the node, where no kubelet does.
    WatchPods,
    /// Hands back those that nobody runs.
    HandBack,
    /// One pass of the rollout.
    Rollout,
    /// Applies the status of the NodeOS.
    Apply,
    /// Reports Events.
    Record,
}

impl Duty {
    /// What is being done, for errors.
    pub(super) const fn doing(self) -> &'static str {
        match self {
            Self::Register => "registering the Node",
            Self::Beat => "renewing the node's Lease",
            Self::Report => "reporting the Node's status",
            Self::Version => "asking for the API server's version",
            Self::Watch => "watching the NodeOS",
            Self::WatchPods => "watching the node's pods",
            Self::HandBack => "handing back pods that no kubelet runs",
            Self::Rollout => "rolling a release out",
            Self::Apply => "reporting the NodeOS's status",
            Self::Record => "recording an Event",
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Due {
    at: Duration,
    failures: u32,
    /// Not before this, whatever happens.
    not_before: Duration,
}

/// All that is due.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    duties: BTreeMap<Duty, Due>,
    /// Nothing is due before: no server answers.
    held: Option<Duration>,
    failures: u32,
}

impl Schedule {
    /// The duty is due at `at`, or when its back-off ends.
    pub(super) fn set(&mut self, duty: Duty, at: Duration) {
        self.duties.entry(duty).or_default().at = at;
    }

    /// As [`Self::set`], unless it is due earlier already.
    pub(super) fn hasten(&mut self, duty: Duty, at: Duration) {
        let due = self.duties.entry(duty).or_insert(Due { at, ..Due::default() });
        due.at = due.at.min(at);
    }

    /// The duty is not due until it is set again.
    pub(super) fn rest(&mut self, duty: Duty) {
        self.set(duty, Duration::MAX);
    }

    /// A server answers, whatever it says.
    pub(super) fn answers(&mut self) {
        (self.held, self.failures) = (None, 0);
    }

    /// It went well: this is none of what the server refuses.
    pub(super) fn succeeded(&mut self, duty: Duty) {
        self.answers();
        let due = self.duties.entry(duty).or_default();
        (due.failures, due.not_before) = (0, Duration::ZERO);
    }

    /// It failed: when it is tried again. `asked`: when the server wants to be asked again. `jitter`: a random number from 0 to 1.
    pub(super) fn failed(&mut self, duty: Duty, now: Duration, kind: Kind, asked: Option<Duration>, jitter: f64) {
        let due = self.duties.entry(duty).or_default();
        due.failures = due.failures.saturating_add(1);
        let wait = match kind {
            Kind::Forbidden => backoff::spread(backoff::doubled(FIRST_FORBIDDEN, LONGEST_WRONG, due.failures), jitter),
            Kind::Passing | Kind::Conflict | Kind::Gone => backoff::full_jitter(FIRST, LONGEST, due.failures, jitter),
            Kind::Missing | Kind::Rejected | Kind::Unknown => {
                backoff::full_jitter(FIRST, LONGEST_WRONG, due.failures, jitter)
            }
        };
        // Who is asked to wait comes not before, and not all at once.
        let asked = asked.map(|asked| asked.min(LONGEST_ASKED) + FIRST.mul_f64(jitter));
        due.not_before = now + wait.max(asked.unwrap_or_default());
        due.at = due.not_before;
    }

    /// No server answers: nothing is tried before some time has gone.
    pub(super) fn unreachable(&mut self, now: Duration, jitter: f64) {
        self.failures = self.failures.saturating_add(1);
        self.held = Some(now + backoff::full_jitter(FIRST, LONGEST_UNREACHABLE, self.failures, jitter));
    }

    /// The most urgent duty that is due.
    pub(super) fn next(&self, now: Duration) -> Option<Duty> {
        if self.held.is_some_and(|held| now < held) {
            return None;
        }
        self.duties.iter().find(|(_, due)| due.at.max(due.not_before) <= now).map(|(duty, _)| *duty)
    }

    /// How long nothing is due.
    pub(super) fn wait(&self, now: Duration) -> Duration {
        let next = self.duties.values().map(|due| due.at.max(due.not_before)).min().unwrap_or(Duration::MAX);
        next.max(self.held.unwrap_or_default()).saturating_sub(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn the_most_urgent_comes_first() {
        let mut schedule = Schedule::default();
        for duty in [Duty::Record, Duty::Beat, Duty::Watch] {
            schedule.set(duty, secs(5));
        }
        assert_eq!((schedule.next(secs(4)), schedule.wait(secs(4))), (None, secs(1)));
        assert_eq!(schedule.next(secs(5)), Some(Duty::Beat));
        schedule.set(Duty::Beat, secs(15));
        assert_eq!(schedule.next(secs(5)), Some(Duty::Watch));
        schedule.rest(Duty::Watch);
        schedule.rest(Duty::Record);
        assert_eq!((schedule.next(secs(5)), schedule.wait(secs(5))), (None, secs(10)));
        schedule.hasten(Duty::Beat, secs(7));
        schedule.hasten(Duty::Beat, secs(9));
        assert_eq!(schedule.wait(secs(5)), secs(2));
    }

    #[test]
    fn one_that_fails_hinders_no_other() {
        let mut schedule = Schedule::default();
        schedule.set(Duty::Beat, secs(0));
        schedule.set(Duty::Watch, secs(0));
        schedule.failed(Duty::Beat, secs(0), Kind::Passing, Some(secs(7)), 0.5);
        assert_eq!(schedule.next(secs(0)), Some(Duty::Watch));
        schedule.rest(Duty::Watch);
        schedule.hasten(Duty::Beat, secs(0));
        assert_eq!((schedule.next(secs(7)), schedule.next(secs(8))), (None, Some(Duty::Beat)));
        schedule.succeeded(Duty::Beat);
        assert_eq!(schedule.next(secs(0)), Some(Duty::Beat));
    }

    #[test]
    fn each_failure_has_its_wait() {
        let wait = |kind, times, asked: Option<u64>, jitter| {
            let mut schedule = Schedule::default();
            for _ in 0..times {
                schedule.failed(Duty::Beat, secs(0), kind, asked.map(secs), jitter);
            }
            schedule.wait(secs(0))
        };
        assert_eq!(wait(Kind::Passing, 1, None, 1.0), secs(1));
        assert_eq!(wait(Kind::Passing, 3, None, 1.0), secs(4));
        assert_eq!(wait(Kind::Passing, 99, None, 1.0), secs(60));
        assert_eq!(wait(Kind::Passing, 99, None, 0.0), secs(0));
        assert_eq!(wait(Kind::Passing, 1, Some(30), 0.0), secs(30));
        assert_eq!(wait(Kind::Passing, 1, Some(86_400), 0.0), secs(600));
        assert_eq!(wait(Kind::Forbidden, 1, None, 0.5), secs(2));
        assert_eq!(wait(Kind::Forbidden, 9, None, 0.5), secs(300));
        assert_eq!(wait(Kind::Rejected, 99, None, 1.0), secs(300));
    }

    #[test]
    fn nothing_is_tried_while_no_server_answers() {
        let mut schedule = Schedule::default();
        schedule.set(Duty::Beat, secs(0));
        for _ in 0..99 {
            schedule.unreachable(secs(0), 1.0);
        }
        assert_eq!((schedule.next(secs(29)), schedule.wait(secs(0))), (None, secs(30)));
        assert_eq!(schedule.next(secs(30)), Some(Duty::Beat));
        schedule.succeeded(Duty::Beat);
        assert_eq!(schedule.wait(secs(0)), secs(0));
    }
}
