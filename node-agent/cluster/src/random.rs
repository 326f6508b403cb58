//! Randomness, so that a fleet does not do everything at the same moment. No secret depends on it.

use std::time::Duration;

/// At least 0, less than 1.
pub(crate) fn fraction() -> f64 {
    fastrand::f64()
}

/// `time`, half as long to one and a half times as long.
pub(crate) fn spread(time: Duration) -> Duration {
    time.mul_f64(0.5 + fraction())
}
