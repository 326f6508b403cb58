//! May the node upgrade by itself now? Pure: the settings' windows and the time.

#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::settings::window::Window;

/// A weekly window within the hour that clocks skip opens a week later: two weeks, and a day for their edges.
const HORIZON_SECS: i64 = 15 * 24 * 3600;

/// What the windows say at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// It may.
    Open {
        /// The moment at which the last of the windows that are open closes; None if there is none to close.
        until: Option<SystemTime>,
    },
    /// It has to wait.
    Closed {
        /// The moment at which a window opens; None if there is none that could.
        until: Option<SystemTime>,
    },
}

/// What `windows` say at `now`. None is no restriction; an empty list is one that never opens. `now` is None as long as nobody has set the
/// clock: it may show a time within a window, and no window is open by it.
pub fn gate(windows: Option<&[Window]>, now: Option<SystemTime>) -> Gate {
    let Some(windows) = windows else { return Gate::Open { until: None } };
    let Some(now) = now else { return Gate::Closed { until: None } };
    // Before 1970 no clock is right.
    let start = now.duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0));
    let is_open = |at: i64| windows.iter().any(|window| window.is_open(at));
    let now_open = is_open(start);
    let mut at = start;
    let until = loop {
        let Some(next) = windows.iter().map(|window| window.unchanged_until(at)).min() else { break None };
        if next - start > HORIZON_SECS {
            break None;
        }
        if is_open(next) != now_open {
            break u64::try_from(next).ok().map(|secs| UNIX_EPOCH + Duration::from_secs(secs));
        }
        at = next;
    };
    if now_open { Gate::Open { until } } else { Gate::Closed { until } }
}
