//! `ballast settings confirm` and `refetch`, and how long a trial is.

use ballast_settings::values;

use super::Output;
use crate::cli::exit;

/// A trial that is shorter ends before anybody could confirm it; one that is longer is forgotten.
const SECS: std::ops::RangeInclusive<u64> = 10..=24 * 3600;

/// Keeps the settings that are on trial
#[derive(Debug, clap::Args)]
#[command(after_help = exit::OF_SETTINGS)]
pub(super) struct Confirm {
    #[command(flatten)]
    pub(super) output: Output,
}

/// Reads the sources of the first boot again: credential, volume, ESP, the cloud's metadata
///
/// Of volumes, only the one that the first boot used is read. What a source no longer has is kept as it was.
#[derive(Debug, clap::Args)]
#[command(after_help = exit::OF_SETTINGS)]
pub(super) struct Refetch {
    #[command(flatten)]
    pub(super) output: Output,
}

/// `30s`, `5m`, `5min`, `1h` in seconds.
pub(super) fn duration(text: &str) -> Result<u64, String> {
    let secs = values::duration(text).ok().map(|time| time.as_secs());
    secs.filter(|secs| SECS.contains(secs))
        .ok_or_else(|| format!("expected 10s to 24h, as 30s, 5m, 1h ({})", values::DURATION_UNITS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_has_a_sensible_length() {
        for (text, secs) in [("30s", 30), ("5m", 300), ("5min", 300), ("24h", 86400), ("1h30m", 5400)] {
            assert_eq!(duration(text), Ok(secs));
        }
        for wrong in ["", "5", "m", "9s", "25h", "-5m", "5 d", "99999999999999999999h", "9999999999999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
