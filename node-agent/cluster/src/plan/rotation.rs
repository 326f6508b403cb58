//! When a client certificate is renewed.

use std::time::Duration;

/// In which part of its life, in per cent: the kubelet's own, so that many nodes do not come at once, and a cluster that is unreachable for a while
/// does no harm.
const PART: (u64, u64) = (70, 90);

/// When the certificate that holds from `begin` to `end` is renewed; all in seconds since 1970. `jitter` is a random number from 0 to 1,
/// kept for this certificate.
pub fn renew_at(begin: u64, end: u64, jitter: f64) -> u64 {
    let life = Duration::from_secs(end.saturating_sub(begin));
    let whole = |percent: u64| life.as_secs() / 100 * percent;
    let span = Duration::from_secs(whole(PART.1) - whole(PART.0)).mul_f64(jitter.clamp(0.0, 1.0));
    begin.saturating_add(whole(PART.0)).saturating_add(span.as_secs())
}

/// Whether a certificate that holds from `begin` to `end` can be used at `now`.
pub fn is_valid(begin: u64, end: u64, now: u64) -> bool {
    (begin..end).contains(&now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_renewed_late_and_in_time() {
        for (jitter, expected) in [(0.0, 1700), (0.5, 1800), (1.0, 1900), (7.0, 1900)] {
            assert_eq!(renew_at(1000, 2000, jitter), expected);
        }
        assert_eq!(renew_at(2000, 1000, 0.5), 2000, "it ends before it begins");
        assert!(is_valid(1000, 2000, 1000) && !is_valid(1000, 2000, 2000) && !is_valid(1000, 2000, 999));
    }
}
