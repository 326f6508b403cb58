//! Refusals in the journal: each is logged, but so many that they fill it.

use std::time::{Duration, Instant};

/// So many are logged in [`WINDOW`].
const MAX_LOGGED: u32 = 10;

/// See above.
const WINDOW: Duration = Duration::from_secs(60);

/// What was logged.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    since: Option<Instant>,
    logged: u32,
    left_out: u64,
}

impl Refusals {
    /// Whether the one at `now` is logged; if so, how many before it were not.
    pub(super) fn count(&mut self, now: Instant) -> Option<u64> {
        if self.since.is_none_or(|since| now.duration_since(since) >= WINDOW) {
            self.since = Some(now);
            self.logged = 0;
        }
        if self.logged >= MAX_LOGGED {
            self.left_out += 1;
            return None;
        }
        self.logged += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_not_logged() {
        let mut refusals = Refusals::default();
        let start = Instant::now();
        let logged = (0..100).filter(|_| refusals.count(start).is_some()).count();
        assert_eq!(logged, 10);
        assert_eq!(refusals.count(start + Duration::from_secs(59)), None);
        // The next one says how many were left out, once.
        assert_eq!(refusals.count(start + Duration::from_secs(60)), Some(91));
        assert_eq!(refusals.count(start + Duration::from_secs(60)), Some(0));
    }
}
