//! The table `[images]`.

use std::{ops::RangeInclusive, time::Duration};

use super::reader::Reader;
use crate::{model::Images, values};

/// 1 removes what nothing uses at any time; above 95 percent pods are ended before an image is removed.
const HIGH: RangeInclusive<u32> = 1..=95;
const LOW: RangeInclusive<u32> = 0..=94;

/// Thirty days: to keep images longer, name them in a pod.
const AGES: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(30 * 24 * 3600);

/// A low mark that is not below the high one means nothing without it.
const MARKS: [&str; 2] = ["gc_high_percent", "gc_low_percent"];

pub(super) fn images(table: &mut Reader<'_>) -> Images {
    let known = Images::default();
    let (gc_high_percent, gc_low_percent) = table.together(&MARKS, marks);
    let age = table.text("gc_minimum_age", "a time from \"0s\" to \"720h\"", minimum_age).or(known.gc_minimum_age);
    Images { gc_high_percent, gc_low_percent, gc_minimum_age: age }
}

fn marks(table: &mut Reader<'_>) -> (u32, u32) {
    let known = Images::default();
    let high = table.number("gc_high_percent", HIGH).given();
    let low = table.number("gc_low_percent", LOW).given();
    match (high, low) {
        (Some(high), Some(low)) if low >= high => {
            table.refuse_keys(
                &MARKS,
                "has a low mark that is not below the high one; they do not apply",
                "gc_low_percent below gc_high_percent",
            );
            (known.gc_high_percent, known.gc_low_percent)
        }
        (high, Some(low)) => (high.unwrap_or(known.gc_high_percent.max(low + 1)), low),
        (Some(high), None) => (high, known.gc_low_percent.min(high - 1)),
        (None, None) => (known.gc_high_percent, known.gc_low_percent),
    }
}

fn minimum_age(text: &str) -> Result<Duration, String> {
    let time = values::duration(text)?;
    if AGES.contains(&time) { Ok(time) } else { Err(format!("{text:?} is out of range")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Rank, Source, settings};

    #[test]
    fn the_low_mark_stays_below_the_high_one() {
        for (text, marks, problems) in [
            ("", (85, 80), 0),
            ("gc_high_percent = 70", (70, 69), 0),
            ("gc_high_percent = 90", (90, 80), 0),
            ("gc_low_percent = 50", (85, 50), 0),
            ("gc_low_percent = 94", (95, 94), 0),
            ("gc_high_percent = 60\ngc_low_percent = 40", (60, 40), 0),
            ("gc_high_percent = 60\ngc_low_percent = 60", (85, 80), 1),
            ("gc_high_percent = 99", (85, 80), 1),
        ] {
            let document = format!("[images]\n{text}\n");
            let (settings, reported) = settings(&[Source::new("f", Rank::Node, document.as_bytes())]);
            let images = settings.images;
            assert_eq!((images.gc_high_percent, images.gc_low_percent), marks, "{text}");
            assert_eq!(reported.len(), problems, "{text}: {reported:?}");
        }
    }

    #[test]
    fn the_minimum_age_is_a_time() {
        let document = b"[images]\ngc_minimum_age = \"1h\"\n";
        let (settings, problems) = settings(&[Source::new("f", Rank::Node, document)]);
        assert_eq!((settings.images.gc_minimum_age, problems.len()), (Duration::from_secs(3600), 0));
    }
}
