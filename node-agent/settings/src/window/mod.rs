//! A weekly window of time: `Mon-Fri 02:00-04:00 Europe/Berlin`. It is open while the clocks there show such a time: in the
//! night in which they skip an hour, a window within that hour does not open, and when they show an hour twice, it opens
//! twice.

mod days;
#[cfg(test)]
mod tests;
mod zone;

use std::fmt;

use self::{days::Days, zone::Zone};

const MINUTE: i64 = 60;
const DAY: i64 = 24 * 60 * MINUTE;

/// Clocks are changed at such moments only, all over the world (since 1972).
const CHANGES: i64 = 15 * MINUTE;

/// Days of the week and times of the day in a time zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    text: String,
    /// The days on which it opens.
    days: Days,
    /// Seconds after midnight.
    start: i64,
    /// Seconds after midnight of the day on which it opens: up to two days.
    end: i64,
    zone: Zone,
}

impl Eq for Window {}

impl Window {
    /// What [`Window::parse`] takes.
    pub const EXPECTED: &str =
        "days, times and a time zone, as \"Mon-Fri 02:00-04:00 Europe/Berlin\" or \"daily 23:00-01:00 UTC\"";

    /// `DAYS HH:MM-HH:MM ZONE`. An end that is not after the start is on the next day.
    ///
    /// # Errors
    /// One clause that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (days, times, zone) = match words.as_slice() {
            [days, times, zone] => (days, times, zone),
            [_, _] => return Err(format!("{text:?} has no time zone")),
            _ => return Err(format!("{text:?} is not a window")),
        };
        let (start, end) = times.split_once('-').ok_or_else(|| format!("{times:?} has no end"))?;
        let (start, mut end) = (time_of_day(start)?, time_of_day(end)?);
        if start == end || start == DAY {
            return Err(format!("{times:?} has no length (a whole day is 00:00-24:00)"));
        }
        if end < start {
            end += DAY;
        }
        Ok(Self { text: words.join(" "), days: Days::parse(days)?, start, end, zone: Zone::parse(zone)? })
    }

    /// Whether it is open at `unix_secs`.
    pub fn is_open(&self, unix_secs: i64) -> bool {
        let local = unix_secs + self.zone.offset(unix_secs);
        let (day, second) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        let opens = |day: i64, second: i64| self.days.contains(day) && (self.start..self.end).contains(&second);
        opens(day, second) || opens(day - 1, second + DAY)
    }

    /// A moment after `unix_secs` up to which it neither opens nor closes; it may do so there, or not.
    pub fn unchanged_until(&self, unix_secs: i64) -> i64 {
        let second = (unix_secs + self.zone.offset(unix_secs)).rem_euclid(DAY);
        let edges = [self.start, self.end % DAY, DAY];
        let edge = edges.into_iter().filter(|edge| *edge > second).min().unwrap_or(DAY);
        let change = (unix_secs.div_euclid(CHANGES) + 1) * CHANGES;
        change.min(unix_secs + edge - second)
    }
}

impl fmt::Display for Window {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// `HH:MM`, up to 24:00, in seconds.
fn time_of_day(text: &str) -> Result<i64, String> {
    let wrong = || format!("{text:?} is not a time of day");
    let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
    let number = |digits: &str| -> Option<i64> {
        let is_number = matches!(digits.len(), 1 | 2) && digits.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { digits.parse().ok() } else { None }
    };
    let (hours, minutes) = number(hours).zip(number(minutes)).ok_or_else(wrong)?;
    let time = (hours * 60 + minutes) * MINUTE;
    if minutes < 60 && time <= DAY { Ok(time) } else { Err(wrong()) }
}
