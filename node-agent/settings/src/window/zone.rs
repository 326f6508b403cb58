//! Time zones, from the table that is built in: a node has none of its own.

use tz::TimeZone;

use crate::values::{self, Text};

/// A time zone of the IANA database.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Zone {
    rules: TimeZone,
}

impl Zone {
    /// `UTC`, `Europe/Berlin`, …
    pub(super) fn parse(name: &str) -> Result<Self, String> {
        let zone = values::TimeZone::parse(name)?;
        let rules = TimeZone::from_tz_data(zone.rules())
            .map_err(|error| format!("the time zone {name:?} cannot be used: {error}"))?;
        Ok(Self { rules })
    }

    /// How many seconds clocks there are ahead of UTC at `unix_secs`.
    pub(super) fn offset(&self, unix_secs: i64) -> i64 {
        // Fails only for times that are not in the table: then the zone has no rule, and no offset either.
        self.rules.find_local_time_type(unix_secs).map_or(0, |kind| i64::from(kind.ut_offset()))
    }
}
