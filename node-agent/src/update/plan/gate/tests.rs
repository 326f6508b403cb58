//! Tables of windows and moments: edges of the week, both changes of the clocks, several windows.

use super::*;

/// Seconds since 1970 of `2027-03-28 01:30`, UTC.
fn utc(text: &str) -> u64 {
    let moment = format!("{}:00Z", text.replace(' ', "T"));
    let numbers: Vec<i64> =
        moment.split(|letter: char| !letter.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect();
    let [year, month, day, hour, minute, _] = numbers[..] else { panic!("{text}") };
    let time = tz::UtcDateTime::new(
        year.try_into().unwrap(),
        month.try_into().unwrap(),
        day.try_into().unwrap(),
        hour.try_into().unwrap(),
        minute.try_into().unwrap(),
        0,
        0,
    );
    time.unwrap().unix_time().try_into().unwrap()
}

fn at(text: &str) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(utc(text))
}

/// `open until …`, `closed until …`, as UTC.
fn shown(windows: &[&str], now: &str) -> String {
    let windows: Vec<Window> = windows.iter().map(|text| Window::parse(text).unwrap()).collect();
    let (word, until) = match gate(Some(&windows), Some(at(now))) {
        Gate::Open { until } => ("open", until),
        Gate::Closed { until } => ("closed", until),
    };
    let Some(until) = until else { return format!("{word} for ever") };
    let secs = until.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let time = tz::UtcDateTime::from_timespec(secs.try_into().unwrap(), 0).unwrap();
    assert_eq!(time.second(), 0);
    let date = format!("{:04}-{:02}-{:02}", time.year(), time.month(), time.month_day());
    format!("{word} until {date} {:02}:{:02}", time.hour(), time.minute())
}

#[test]
fn without_windows_any_time_is_right_and_an_empty_list_is_never() {
    assert_eq!(gate(None, Some(at("2027-01-01 00:00"))), Gate::Open { until: None });
    assert_eq!(gate(Some(&[]), Some(at("2027-01-01 00:00"))), Gate::Closed { until: None });
    assert_eq!(shown(&["daily 00:00-24:00 UTC"], "2027-01-01 00:00"), "open for ever");
    let before = UNIX_EPOCH - Duration::from_secs(1);
    assert!(matches!(
        gate(Some(&[Window::parse("daily 01:00-02:00 UTC").unwrap()]), Some(before)),
        Gate::Closed { .. }
    ));
}

#[test]
fn no_window_is_open_before_the_clock_is_set() {
    let always = Window::parse("daily 00:00-24:00 UTC").unwrap();
    assert_eq!(gate(Some(&[always]), None), Gate::Closed { until: None });
    assert_eq!(gate(None, None), Gate::Open { until: None });
}

#[test]
fn windows_open_and_close_by_the_clock() {
    // 2027-01-04 is a Monday.
    let week = "Mon-Fri 02:00-04:00 Europe/Berlin";
    let night = "Sun 23:30-01:00 UTC";
    for (windows, now, expected) in [
        (&[week][..], "2027-01-04 00:59", "closed until 2027-01-04 01:00"),
        (&[week], "2027-01-04 01:00", "open until 2027-01-04 03:00"),
        (&[week], "2027-01-04 02:59", "open until 2027-01-04 03:00"),
        (&[week], "2027-01-04 03:00", "closed until 2027-01-05 01:00"),
        // Friday's end to Monday
        (&[week], "2027-01-08 03:00", "closed until 2027-01-11 01:00"),
        // Over midnight, which is the week's end too: Monday's hour belongs to Sunday.
        (&[night], "2027-01-03 23:29", "closed until 2027-01-03 23:30"),
        (&[night], "2027-01-03 23:30", "open until 2027-01-04 01:00"),
        (&[night], "2027-01-04 00:00", "open until 2027-01-04 01:00"),
        (&[night], "2027-01-04 01:00", "closed until 2027-01-10 23:30"),
        (&[night], "2027-01-05 00:30", "closed until 2027-01-10 23:30"),
        // Over the year's end, and a leap day (2028-02-29 is a Tuesday)
        (&["Thu 22:00-03:00 America/New_York"], "2027-12-31 06:00", "open until 2027-12-31 08:00"),
        (&["Tue 10:00-11:00 UTC"], "2028-02-28 12:00", "closed until 2028-02-29 10:00"),
        (&["Tue 23:00-01:00 UTC"], "2028-02-29 23:30", "open until 2028-03-01 01:00"),
        // Half hours and quarters
        (&["daily 02:00-03:00 Asia/Kathmandu"], "2027-01-04 20:30", "open until 2027-01-04 21:15"),
        (&["daily 02:07-02:08 Asia/Kolkata"], "2027-01-04 20:36", "closed until 2027-01-04 20:37"),
        (&["daily 02:07-02:08 Asia/Kolkata"], "2027-01-04 20:37", "open until 2027-01-04 20:38"),
        // Until midnight, and on to the next day's
        (&["daily 20:00-24:00 UTC"], "2027-01-04 21:00", "open until 2027-01-05 00:00"),
        (&["Mon 20:00-24:00 UTC", "Tue 00:00-02:00 UTC"], "2027-01-04 21:00", "open until 2027-01-05 02:00"),
        // The first of several to open, the last to close
        (&[night, week], "2027-01-08 04:00", "closed until 2027-01-10 23:30"),
        (&[week, night], "2027-01-11 00:30", "open until 2027-01-11 03:00"),
        (&["Mon 02:00-04:00 UTC", "Mon 03:00-05:00 UTC"], "2027-01-04 02:30", "open until 2027-01-04 05:00"),
    ] {
        assert_eq!(shown(windows, now), expected, "{windows:?} at {now}");
    }
}

#[test]
fn clocks_that_skip_an_hour_skip_its_windows() {
    // Europe: 2027-03-28 01:00 UTC, 02:00 becomes 03:00. New York: 2027-03-14 07:00 UTC. Lord Howe: half an hour.
    for (windows, now, expected) in [
        ("daily 02:15-02:45 Europe/Berlin", "2027-03-28 00:00", "closed until 2027-03-29 00:15"),
        ("Sun 02:15-02:45 Europe/Berlin", "2027-03-27 12:00", "closed until 2027-04-04 00:15"),
        ("daily 01:30-02:30 Europe/Berlin", "2027-03-28 00:30", "open until 2027-03-28 01:00"),
        ("daily 02:30-04:00 Europe/Berlin", "2027-03-28 00:45", "closed until 2027-03-28 01:00"),
        ("daily 02:30-04:00 Europe/Berlin", "2027-03-28 01:00", "open until 2027-03-28 02:00"),
        ("Mon-Fri 02:00-04:00 Europe/Berlin", "2027-03-26 12:00", "closed until 2027-03-29 00:00"),
        ("daily 01:00-04:00 America/New_York", "2027-03-14 06:00", "open until 2027-03-14 08:00"),
        ("daily 02:00-02:30 Australia/Lord_Howe", "2027-10-02 12:00", "closed until 2027-10-03 15:00"),
        // Where summer time begins at midnight, the day begins at one.
        ("Sun 00:00-02:00 America/Santiago", "2027-09-05 03:00", "closed until 2027-09-05 04:00"),
        ("Sun 00:00-02:00 America/Santiago", "2027-09-05 04:00", "open until 2027-09-05 05:00"),
    ] {
        assert_eq!(shown(&[windows], now), expected, "{windows} at {now}");
    }
}

#[test]
fn clocks_that_show_an_hour_twice_open_its_windows_twice() {
    // Europe: 2027-10-31 01:00 UTC, 03:00 becomes 02:00.
    for (windows, now, expected) in [
        ("daily 02:15-02:45 Europe/Berlin", "2027-10-31 00:00", "closed until 2027-10-31 00:15"),
        ("daily 02:15-02:45 Europe/Berlin", "2027-10-31 00:15", "open until 2027-10-31 00:45"),
        ("daily 02:15-02:45 Europe/Berlin", "2027-10-31 00:45", "closed until 2027-10-31 01:15"),
        ("daily 02:15-02:45 Europe/Berlin", "2027-10-31 01:15", "open until 2027-10-31 01:45"),
        ("daily 02:00-04:00 Europe/Berlin", "2027-10-31 00:00", "open until 2027-10-31 03:00"),
        ("daily 02:30-03:00 Europe/Berlin", "2027-10-31 00:30", "open until 2027-10-31 01:00"),
        ("daily 02:30-03:00 Europe/Berlin", "2027-10-31 01:00", "closed until 2027-10-31 01:30"),
        ("Sun 23:30-01:00 Europe/Berlin", "2027-10-31 22:30", "open until 2027-11-01 00:00"),
    ] {
        assert_eq!(shown(&[windows], now), expected, "{windows} at {now}");
    }
}
