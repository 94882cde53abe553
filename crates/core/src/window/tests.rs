use jiff::Timestamp;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn window(name: &str, rule: WindowRule, cron: &str, minutes: u32, zone: &str) -> TargetWindow {
    TargetWindow {
        name: name.parse().expect("a name"),
        rule,
        cron: cron.to_owned(),
        minutes,
        zone: zone.to_owned(),
    }
}

fn allow(name: &str, cron: &str, minutes: u32, zone: &str) -> TargetWindow {
    window(name, WindowRule::Allow, cron, minutes, zone)
}

fn deny(name: &str, cron: &str, minutes: u32, zone: &str) -> TargetWindow {
    window(name, WindowRule::Deny, cron, minutes, zone)
}

/// `open`, with the next moment to judge anew, or why it is not.
fn judged(windows: &[TargetWindow], now: &str) -> String {
    match Windows::read(windows).at(at(now)) {
        Standing::Open(None) => "open".to_owned(),
        Standing::Open(Some(until)) => format!("open, at least until {until}"),
        Standing::Held(held) => held.to_string(),
    }
}

#[test]
fn without_windows_all_is_open() {
    assert_eq!(judged(&[], "2026-11-30T12:00:00Z"), "open");
}

#[test]
fn what_is_new_waits_outside_of_all_that_allows_and_inside_of_any_that_denies() {
    let nightly = allow("nightly", "0 2 * * *", 120, "Europe/Berlin");
    let noon = allow("noon", "0 12 * * 1-5", 30, "UTC");
    let freeze = deny("freeze", "0 0 24 12 *", 4 * 24 * 60, "UTC");
    let monthly = deny("monthly", "0 0 1 * *", 24 * 60, "UTC");
    let held = |until: &str, window: &str| format!("held until {until} (window {window})");
    let cases = [
        // Berlin is one hour before UTC in winter.
        (
            vec![&nightly],
            "2026-12-01T00:59:59.999Z",
            held("2026-12-01 02:00 Europe/Berlin", "nightly"),
        ),
        (
            vec![&nightly],
            "2026-12-01T01:00:00Z",
            "open, at least until 2026-12-01T03:00:00Z".to_owned(),
        ),
        (
            vec![&nightly],
            "2026-12-01T02:59:59.5Z",
            "open, at least until 2026-12-01T03:00:00Z".to_owned(),
        ),
        (
            vec![&nightly],
            "2026-12-01T03:00:00Z",
            held("2026-12-02 02:00 Europe/Berlin", "nightly"),
        ),
        // Whichever allows first.
        (
            vec![&nightly, &noon],
            "2026-12-01T03:00:00Z",
            held("2026-12-01 12:00 UTC", "noon"),
        ),
        (
            vec![&nightly, &noon],
            "2026-12-01T12:29:00Z",
            "open, at least until 2026-12-01T12:30:00Z".to_owned(),
        ),
        // A window that denies is stronger, and what is allowed only later waits longer.
        (
            vec![&freeze],
            "2026-12-23T23:59:00Z",
            "open, at least until 2026-12-24T00:00:00Z".to_owned(),
        ),
        (
            vec![&freeze],
            "2026-12-24T00:00:00Z",
            held("2026-12-28 00:00 UTC", "freeze"),
        ),
        (
            vec![&freeze, &nightly],
            "2026-12-24T01:30:00Z",
            held("2026-12-28 02:00 Europe/Berlin", "nightly"),
        ),
        (
            vec![&nightly, &monthly],
            "2026-11-30T12:00:00Z",
            held("2026-12-02 02:00 Europe/Berlin", "nightly"),
        ),
        (
            vec![&monthly],
            "2026-11-30T12:00:00Z",
            "open, at least until 2026-12-01T00:00:00Z".to_owned(),
        ),
    ];
    for (windows, now, expected) in cases {
        let windows: Vec<_> = windows.into_iter().cloned().collect();
        assert_eq!(judged(&windows, now), expected, "{now} {windows:?}");
    }
}

#[test]
fn windows_that_follow_each_other_are_one() {
    let days: Vec<_> = (0..7)
        .map(|day| {
            deny(
                &format!("day-{day}"),
                &format!("0 0 * * {day}"),
                24 * 60,
                "UTC",
            )
        })
        .collect();
    assert_eq!(
        judged(&days[1..6], "2026-11-30T12:00:00Z"),
        "held until 2026-12-05 00:00 UTC (window day-5)"
    );
    let never = judged(&days, "2026-11-30T12:00:00Z");
    assert!(never.contains("leave no opening"), "{never}");
    let always = deny("always", "* * * * *", 44_640, "UTC");
    let never = judged(&[always], "2026-11-30T12:00:00Z");
    assert!(never.contains("leave no opening"), "{never}");
}

/// Clocks in Berlin went from 02:00 to 03:00 on 2026-03-29, and from 03:00 back to 02:00 on 2026-10-25.
#[test]
fn a_change_of_clocks_neither_loses_nor_repeats_a_window() {
    let berlin = |cron, minutes| Schedule::new(cron, minutes, "Europe/Berlin").expect("a schedule");
    let starts = |schedule: &Schedule, after: &str, count| {
        let mut starts = Vec::new();
        let mut moment = at(after);
        for _ in 0..count {
            moment = schedule.next_start(moment).expect("a start");
            starts.push(moment.to_string());
        }
        starts
    };
    // The skipped time begins when the clocks go on.
    let nightly = berlin("30 2 * * *", 60);
    let skipped = [
        "2026-03-28T01:30:00Z",
        "2026-03-29T01:00:00Z",
        "2026-03-30T00:30:00Z",
    ];
    assert_eq!(starts(&nightly, "2026-03-27T12:00:00Z", 3), skipped);
    assert_eq!(nightly.end(at("2026-03-29T00:59:59Z")), None);
    assert_eq!(
        nightly.end(at("2026-03-29T01:00:00Z")),
        Some(at("2026-03-29T02:00:00Z"))
    );
    assert_eq!(
        nightly.end(at("2026-03-29T01:59:59Z")),
        Some(at("2026-03-29T02:00:00Z"))
    );
    assert_eq!(nightly.end(at("2026-03-29T02:00:00Z")), None);
    // The repeated one begins the first time, and only then.
    let repeated = [
        "2026-10-24T00:30:00Z",
        "2026-10-25T00:30:00Z",
        "2026-10-26T01:30:00Z",
    ];
    assert_eq!(starts(&nightly, "2026-10-23T12:00:00Z", 3), repeated);
    assert_eq!(
        nightly.end(at("2026-10-25T00:30:00Z")),
        Some(at("2026-10-25T01:30:00Z"))
    );
    assert_eq!(nightly.end(at("2026-10-25T01:31:00Z")), None);
    // It lasts for its hours, not until its clocks show so many more.
    let day = berlin("0 0 * * *", 24 * 60);
    assert_eq!(
        day.end(at("2026-10-24T22:00:00Z")),
        Some(at("2026-10-25T22:00:00Z"))
    );
    assert_eq!(
        day.end(at("2026-10-25T22:30:00Z")),
        None,
        "the day has 25 hours"
    );
    assert_eq!(
        day.end(at("2026-03-29T22:30:00Z")),
        Some(at("2026-03-30T22:00:00Z"))
    );
    // Every half hour follows the clocks.
    let halves = berlin("*/30 * * * *", 10);
    let expected = [
        "2026-03-29T00:30:00Z",
        "2026-03-29T01:00:00Z",
        "2026-03-29T01:30:00Z",
    ];
    assert_eq!(starts(&halves, "2026-03-29T00:00:00Z", 3), expected);
    let expected = [
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:00:00Z",
        "2026-10-25T01:30:00Z",
    ];
    assert_eq!(starts(&halves, "2026-10-25T00:00:00Z", 3), expected);
}

#[test]
fn leap_days_are_found_both_ways() {
    let leap = Schedule::new("0 0 29 2 *", 60, "UTC").expect("a schedule");
    assert_eq!(
        leap.next_start(at("2026-01-01T00:00:00Z")),
        Some(at("2028-02-29T00:00:00Z"))
    );
    assert_eq!(
        leap.end(at("2028-02-29T00:30:00Z")),
        Some(at("2028-02-29T01:00:00Z"))
    );
    assert_eq!(leap.end(at("2027-02-28T00:30:00Z")), None);
}

#[test]
fn what_is_no_schedule_is_refused() {
    let refused =
        |cron: &str, zone: &str| Schedule::new(cron, 60, zone).expect_err("none").to_string();
    for cron in [
        "",
        "x",
        "* * * *",
        "0 0 2 * * *",
        "61 * * * *",
        "0 2 * * * 2030",
        &"1,".repeat(60),
    ] {
        let why = refused(cron, "UTC");
        assert!(why.contains("is no cron expression"), "{cron}: {why}");
    }
    for cron in ["0 0 30 2 *", "0 0 31 4,6 *"] {
        let why = refused(cron, "UTC");
        assert!(why.contains("never"), "{cron}: {why}");
    }
    for zone in ["", "Mars/Olympus", "+02:00", "../etc/passwd", "CET-1"] {
        let why = refused("0 2 * * *", zone);
        assert!(why.contains("no known time zone"), "{zone}: {why}");
    }
}

#[test]
fn what_this_version_cannot_read_holds() {
    let strange = allow("strange", "0 2 * * *", 60, "Mars/Olympus");
    let told = judged(&[strange], "2026-11-30T12:00:00Z");
    assert!(
        told.starts_with("held (window strange)") && told.contains("Mars/Olympus"),
        "{told}"
    );
}
