//! The documented times, by hand for known zones and against a slow second calculation for every zone of 2026.

use std::collections::BTreeSet;

use jiff::{Timestamp as Instant, ToSpan as _, civil::DateTime, tz::TimeZone};

use super::*;

fn parse(pattern: &str, zone: &str) -> Cron {
    Cron::parse(pattern, zone).unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::from_micros(text.parse::<Instant>().unwrap().as_microsecond())
}

/// The first `count` times after a moment, as local times with their offsets.
fn times(pattern: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let cron = parse(pattern, zone);
    let tz = TimeZoneDatabase::bundled().get(zone).unwrap();
    let mut last = at(after);
    let mut found = Vec::new();
    for _ in 0..count {
        last = cron.after(last).unwrap();
        let local = Instant::from_microsecond(last.as_micros()).unwrap().to_zoned(tz.clone());
        found.push(local.strftime("%d %H:%M%:z").to_string());
    }
    found
}

#[test]
fn a_plain_day_follows_the_local_clock() {
    assert_eq!(times("0 3 * * 1-5", "Europe/Berlin", "2026-01-02T12:00:00Z", 2), ["05 03:00+01:00", "06 03:00+01:00"]);
    assert_eq!(times("0 9 * * MON#1", "UTC", "2026-01-01T00:00:00Z", 2), ["05 09:00+00:00", "02 09:00+00:00"]);
    assert_eq!(times("0 0 L * *", "UTC", "2026-02-01T00:00:00Z", 2), ["28 00:00+00:00", "31 00:00+00:00"]);
    assert_eq!(times("@daily", "UTC", "2026-02-01T00:00:00Z", 1), ["02 00:00+00:00"]);
}

#[test]
fn berlin_in_march_skips_two_to_three() {
    let day = "2026-03-28T23:00:00Z";
    assert_eq!(
        times("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", 2),
        ["29 03:00+02:00", "30 02:30+02:00"],
        "once, at the first moment after the gap"
    );
    assert_eq!(
        times("0,30 2,3 * * *", "Europe/Berlin", day, 3),
        ["29 03:00+02:00", "29 03:30+02:00", "30 02:00+02:00"]
    );
    assert_eq!(
        times("30 * * * *", "Europe/Berlin", day, 4),
        ["29 00:30+01:00", "29 01:30+01:00", "29 03:30+02:00", "29 04:30+02:00"]
    );
    assert_eq!(
        times("*/15 2 * * *", "Europe/Berlin", day, 5),
        ["29 03:00+02:00", "29 03:15+02:00", "29 03:30+02:00", "29 03:45+02:00", "30 02:00+02:00"],
        "when they would have come without the change"
    );
}

#[test]
fn berlin_in_october_has_two_to_three_twice() {
    let day = "2026-10-24T22:00:00Z";
    assert_eq!(times("30 2 * * *", "Europe/Berlin", day, 2), ["25 02:30+02:00", "26 02:30+01:00"], "the first only");
    assert_eq!(
        times("30 * * * *", "Europe/Berlin", day, 5),
        ["25 00:30+02:00", "25 01:30+02:00", "25 02:30+02:00", "25 02:30+01:00", "25 03:30+01:00"]
    );
}

#[test]
fn zones_that_change_at_midnight_or_by_half_an_hour() {
    assert_eq!(times("0 0 * * *", "America/Havana", "2026-03-07T12:00:00Z", 2), ["08 01:00-04:00", "09 00:00-04:00"]);
    assert_eq!(
        times("0 0 * * *", "Atlantic/Azores", "2026-10-24T12:00:00Z", 2),
        ["25 00:00+00:00", "26 00:00-01:00"],
        "midnight comes twice"
    );
    assert_eq!(times("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00:00Z", 2), ["24 01:00+03:00", "25 00:00+03:00"]);
    assert_eq!(times("0 0 * * *", "Asia/Beirut", "2026-03-28T12:00:00Z", 2), ["29 01:00+03:00", "30 00:00+03:00"]);
    assert_eq!(
        times("15 * * * *", "Australia/Lord_Howe", "2026-10-03T14:00:00Z", 4),
        ["04 01:15+10:30", "04 02:45+11:00", "04 03:15+11:00", "04 04:15+11:00"]
    );
    assert_eq!(times("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T14:00:00Z", 1), ["04 02:30+11:00"]);
    assert_eq!(
        times("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T13:00:00Z", 2),
        ["05 01:45+11:00", "06 01:45+10:30"]
    );
}

#[test]
fn mistakes_are_named() {
    let problem = |pattern: &str, zone: &str| Cron::parse(pattern, zone).unwrap_err();
    assert_eq!(problem("0 0 3 * * *", "UTC"), CronProblem::Fields { got: 6 });
    assert_eq!(problem("", "UTC"), CronProblem::Fields { got: 0 });
    assert_eq!(problem("0 0 30 2 *", "UTC"), CronProblem::Never);
    assert_eq!(problem("0 0 * * *", "Europe/Berln"), CronProblem::Zone { near: Some("Europe/Berlin".to_owned()) });
    for wrong in ["60 * * * *", "* 24 * * *", "0 0 * * MOO", "a b c d e", "@never"] {
        let problem = problem(wrong, "UTC");
        assert!(matches!(problem, CronProblem::Pattern { .. }), "{wrong}: {problem}");
    }
}

/// What the documentation says, found minute by minute.
fn slowly(cron: &Cron, zone: &TimeZone, from: Instant, to: Instant) -> BTreeSet<i64> {
    let matches = |local: DateTime| cron.pattern.is_time_matching(&local).unwrap();
    let mut found = BTreeSet::new();
    let mut at = from;
    while at < to {
        let minute_before = at - 1.minute();
        let (offset, before) = (zone.to_offset(at), zone.to_offset(minute_before));
        let local = offset.to_datetime(at);
        let first_time = zone.to_ambiguous_zoned(local).compatible().unwrap().timestamp() == at;
        if matches(local) && (cron.elapsed || first_time) {
            found.insert(at.as_second());
        }
        if before < offset {
            // Minutes that the clock skips.
            let length = i64::from(offset.seconds() - before.seconds()) / 60;
            for minute in 0..length {
                if matches(before.to_datetime(at) + minute.minutes()) {
                    found.insert(if cron.elapsed { (at + minute.minutes()).as_second() } else { at.as_second() });
                }
            }
        }
        at += 1.minute();
    }
    found.retain(|second| *second < to.as_second());
    found
}

#[test]
fn every_change_of_every_zone_in_2026() {
    let patterns = [
        "*/15 * * * *",
        "30 * * * *",
        "15 */2 * * *",
        "*/20 2 * * *",
        "30 2 * * *",
        "0 0 * * *",
        "0,30 0-3 * * *",
        "45 23 * * *",
    ];
    let (from, to): (Instant, Instant) =
        ("2026-01-01T00:00:00Z".parse().unwrap(), "2027-01-01T00:00:00Z".parse().unwrap());
    let (mut zones, mut changes) = (0, 0);
    for name in TimeZoneDatabase::bundled().available() {
        let zone = TimeZoneDatabase::bundled().get(name.as_str()).unwrap();
        zones += 1;
        for change in zone.following(from).map(|change| change.timestamp()).take_while(|at| *at < to) {
            changes += 1;
            let (begin, end) = (change - 6.hours(), change + 6.hours());
            for pattern in patterns {
                let cron = parse(pattern, name.as_str());
                let expected = slowly(&cron, &zone, begin, end);
                let mut last = Timestamp::from_micros(begin.as_microsecond() - 1);
                let mut found = BTreeSet::new();
                while let Some(next) = cron.after(last).filter(|next| next.as_micros() < end.as_microsecond()) {
                    assert!(
                        found.insert(next.as_micros() / 1_000_000) && next > last,
                        "{name}, {pattern}: a double run"
                    );
                    last = next;
                }
                assert_eq!(found, expected, "{name}, {pattern}, around {change}");
            }
        }
    }
    assert!(zones > 400 && changes > 300, "{zones} zones, {changes} changes");
}
