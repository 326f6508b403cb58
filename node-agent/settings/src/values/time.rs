//! Lengths of time.

use std::time::Duration;

/// The units, for messages. `m` is minutes, as for Go, Kubernetes and systemd.
pub const DURATION_UNITS: &str = "units: s, m or min, h";

/// `5m`, `5min`, `90 s`, `1h30m`
///
/// # Errors
/// One clause that says what is wrong.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a time");
    let mut rest = text.trim();
    let mut secs: Option<u64> = None;
    while !rest.is_empty() {
        let digits =
            rest.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(|| format!("{text:?} has no unit"))?;
        let (number, behind) = rest.split_at(digits);
        let behind = behind.trim_start();
        let end = behind.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        let factor = match unit {
            "s" | "sec" | "second" | "seconds" => 1,
            "m" | "min" | "minute" | "minutes" => 60,
            "h" | "hr" | "hour" | "hours" => 3600,
            _ => return Err(wrong()),
        };
        let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        secs = Some(part.and_then(|part| secs.unwrap_or(0).checked_add(part)).ok_or_else(wrong)?);
        rest = behind.trim_start();
    }
    secs.map(Duration::from_secs).ok_or_else(wrong)
}

/// As the settings write it, in the largest unit that it is a whole number of: `5min`, `90s`.
pub fn duration_text(time: Duration) -> String {
    match time.as_secs() {
        secs if secs > 0 && secs % 3600 == 0 => format!("{}h", secs / 3600),
        secs if secs > 0 && secs % 60 == 0 => format!("{}min", secs / 60),
        secs => format!("{secs}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit() {
        for (text, secs) in [
            ("30s", 30),
            ("5min", 300),
            ("5 min", 300),
            ("1h", 3600),
            ("0s", 0),
            ("5m", 300),
            ("90sec", 90),
            ("1h30m", 5400),
            ("5 min 3s", 303),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(secs)), "{text}");
        }
        for wrong in
            ["", " ", "5", "min", "5M", "-5s", "1.5h", "5 min 3", "1d", "99999999999999999999s", "9999999999999999999h"]
        {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_time_is_written_as_it_is_read() {
        for (secs, text) in [(0, "0s"), (90, "90s"), (300, "5min"), (3600, "1h"), (5400, "90min")] {
            let time = Duration::from_secs(secs);
            assert_eq!((duration_text(time).as_str(), duration(text)), (text, Ok(time)));
        }
    }
}
