//! When a container that ended starts again: a pure function of how it ended. The rules are the kubelet's.

use std::time::{Duration, SystemTime};

use ballast_client::backoff;

use super::model::RestartPolicy;

/// The first start after an end is at once; then these apply, doubling (kubelet: 10 s, at most 5 min).
const FIRST_DELAY: Duration = Duration::from_secs(10);
const LONGEST_DELAY: Duration = Duration::from_secs(300);

/// Who ran this long is not crashing in a loop: the delays begin anew.
const STEADY: Duration = Duration::from_secs(600);

/// What comes after a container's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// It is over.
    Nothing,
    /// It starts again.
    Start {
        /// Not before this.
        at: SystemTime,
        /// How many starts in a row will then have followed a short run.
        crashes: u32,
    },
}

/// What comes after a container ended with `exit_code`, having started after `crashes` short runs.
pub(super) fn next(
    policy: RestartPolicy,
    exit_code: i32,
    crashes: u32,
    started_at: Option<SystemTime>,
    finished_at: SystemTime,
) -> Next {
    let again = match policy {
        RestartPolicy::Always => true,
        RestartPolicy::OnFailure => exit_code != 0,
        RestartPolicy::Never => false,
    };
    if !again {
        return Next::Nothing;
    }
    let ran = started_at.and_then(|started_at| finished_at.duration_since(started_at).ok()).unwrap_or_default();
    let crashes = if ran >= STEADY { 0 } else { crashes };
    let wait = if crashes == 0 { Duration::ZERO } else { delay(crashes) };
    Next::Start { at: finished_at + wait, crashes: crashes.saturating_add(1) }
}

/// How long to wait after `count` failures in a row, at least one.
pub(super) fn delay(count: u32) -> Duration {
    backoff::doubled(FIRST_DELAY, LONGEST_DELAY, count)
}

/// Whether `at` has come. A clock that was set back must not hold anything up: what lies further ahead than the longest
/// delay was written by another clock.
pub(super) fn is_due(at: SystemTime, now: SystemTime) -> bool {
    at.duration_since(now).map_or(true, |ahead| ahead.is_zero() || ahead > LONGEST_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(secs)
    }

    #[test]
    fn the_policy_decides_whether() {
        use RestartPolicy::{Always, Never, OnFailure};
        for (policy, exit_code, again) in
            [(Always, 0, true), (Always, 1, true), (OnFailure, 0, false), (OnFailure, 1, true), (Never, 1, false)]
        {
            let next = next(policy, exit_code, 0, Some(at(1)), at(2));
            assert_eq!(next != Next::Nothing, again, "{policy:?} {exit_code}");
        }
    }

    #[test]
    fn the_delay_doubles_up_to_five_minutes_and_begins_anew_after_ten_steady_ones() {
        for (crashes, wait) in [(0, 0), (1, 10), (2, 20), (3, 40), (4, 80), (5, 160), (6, 300), (7, 300), (99, 300)] {
            let next = next(RestartPolicy::Always, 1, crashes, Some(at(100)), at(200));
            assert_eq!(next, Next::Start { at: at(200 + wait), crashes: crashes + 1 });
        }
        let steady = next(RestartPolicy::Always, 1, 5, Some(at(100)), at(700));
        assert_eq!(steady, Next::Start { at: at(700), crashes: 1 });
    }

    #[test]
    fn a_clock_set_back_holds_nothing_up() {
        for (when, due) in [(99, true), (100, true), (101, false), (400, false), (401, true)] {
            assert_eq!(is_due(at(when), at(100)), due, "{when}");
        }
    }
}
