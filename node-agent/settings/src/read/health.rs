//! The table `[health]`.

use std::{ops::RangeInclusive, time::Duration};

use super::reader::Reader;
use crate::{model::Health, values};

/// A release needs some seconds to become healthy, and a node that is not must not stay so for more than an hour.
const DEADLINES: RangeInclusive<Duration> = Duration::from_secs(30)..=Duration::from_secs(3600);

pub(super) fn health(table: &mut Reader<'_>) -> Health {
    let known = Health::default();
    Health {
        network: table.switch("network").or(known.network),
        deadline: table.text("deadline", &expected(), deadline).or(known.deadline),
    }
}

fn expected() -> String {
    format!("a time from \"30s\" to \"1h\" ({})", values::DURATION_UNITS)
}

fn deadline(text: &str) -> Result<Duration, String> {
    let time = values::duration(text)?;
    if DEADLINES.contains(&time) { Ok(time) } else { Err(format!("{text:?} is out of range")) }
}
