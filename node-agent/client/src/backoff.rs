//! How long to wait. The caller brings the random number: a `jitter` is from 0 to 1.

use std::time::Duration;

/// `first`, doubled for each failure but the first, at most `most`.
pub fn doubled(first: Duration, most: Duration, failures: u32) -> Duration {
    let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    first.saturating_mul(factor).min(most)
}

/// Anything from nothing up to [`doubled`] ("full jitter"): thousands of nodes that fail at once do not come back at once.
pub fn full_jitter(first: Duration, most: Duration, failures: u32, jitter: f64) -> Duration {
    doubled(first, most, failures).mul_f64(jitter.clamp(0.0, 1.0))
}

/// From half of [`doubled`] to all of it ("equal jitter"): for who waits for the answer, and must not hear of it too soon.
pub fn equal_jitter(first: Duration, most: Duration, failures: u32, jitter: f64) -> Duration {
    let half = doubled(first, most, failures) / 2;
    half + half.mul_f64(jitter.clamp(0.0, 1.0))
}

/// `wait`, a quarter more or less: nodes that began together drift apart.
pub fn spread(wait: Duration, jitter: f64) -> Duration {
    wait.mul_f64(0.75 + jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_up_to_the_longest() {
        for (failures, expected) in
            [(0, 1), (1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (32, 60), (33, 60), (u32::MAX, 60)]
        {
            assert_eq!(doubled(SECOND, 60 * SECOND, failures), expected * SECOND, "{failures}");
        }
    }

    #[test]
    fn jitter_stays_within_bounds() {
        for jitter in [f64::MIN, 0.0, 0.5, 1.0, f64::MAX] {
            assert!(full_jitter(SECOND, 60 * SECOND, 9, jitter) <= 60 * SECOND);
            let wait = equal_jitter(SECOND, 60 * SECOND, 4, jitter);
            assert!((4 * SECOND..=8 * SECOND).contains(&wait), "{wait:?}");
            let wait = spread(8 * SECOND, jitter);
            assert!((6 * SECOND..=10 * SECOND).contains(&wait), "{wait:?}");
        }
    }
}
