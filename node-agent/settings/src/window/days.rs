//! Days of the week.

const NAMES: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// The weekday of 1 January 1970.
const THURSDAY: i64 = 3;

/// Which days of the week; the first is Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Days([bool; 7]);

impl Days {
    /// `daily`, or names and ranges with commas between them: `Mon`, `Mon,Wed-Fri`, `Sat-Mon`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("daily") {
            return Ok(Self([true; 7]));
        }
        let mut days = [false; 7];
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (index(first)?, index(last)?);
            let count = (last + 7 - first) % 7 + 1;
            for step in 0..count {
                if let Some(day) = days.get_mut((first + step) % 7) {
                    *day = true;
                }
            }
        }
        Ok(Self(days))
    }

    /// Whether the day that many days after 1 January 1970 is one of them.
    pub(super) fn contains(&self, day: i64) -> bool {
        let weekday = (day + THURSDAY).rem_euclid(7);
        usize::try_from(weekday).ok().and_then(|weekday| self.0.get(weekday)).is_some_and(|is_in| *is_in)
    }
}

/// A day by its name or the first three letters of it.
fn index(name: &str) -> Result<usize, String> {
    let lower = name.to_ascii_lowercase();
    let found = NAMES.iter().position(|full| *full == lower || full.get(..3) == Some(&lower));
    found.ok_or_else(|| format!("{name:?} is not a day of the week"))
}
