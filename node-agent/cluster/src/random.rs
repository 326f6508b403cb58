//! Randomness, so that a fleet does not do everything at the same moment. Nothing secret hangs on it.

use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};

/// At least 0, less than 1.
pub(crate) fn fraction() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness things are only less well spread.
    let _ = SystemRandom::new().fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
}

/// `time`, half as long to one and a half times as long.
pub(crate) fn spread(time: Duration) -> Duration {
    time.mul_f64(0.5 + fraction())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_stays_in_its_bounds() {
        for _ in 0..100 {
            assert!((0.0..1.0).contains(&fraction()));
            let time = spread(Duration::from_secs(10));
            assert!((5.0..15.0).contains(&time.as_secs_f64()), "{time:?}");
        }
    }
}
