//! Cron around changes of the clock, through the real scheduler, and for every zone through what decides when it is due.

use std::time::Duration;

use jiff::tz::TimeZoneDatabase;
use tokio::time::Instant;

use super::{
    super::{Due, Now},
    bench::{Bench, at},
};
use crate::model::{Cron, Timestamp, spec::Schedule};

const STEP: Duration = Duration::from_secs(300);

fn cron(pattern: &str, zone: &str) -> Schedule {
    Schedule::Cron(Box::new(Cron::parse(pattern, zone).unwrap()))
}

/// Runs the scheduler over some hours and returns when the runs of each sync began, to the minute in UTC.
async fn runs(zone: &str, start: &str, hours: u32, expected: &[(&str, &[&str])]) {
    let schedules: Vec<_> = expected.iter().map(|(pattern, _)| (*pattern, cron(pattern, zone))).collect();
    let names = ["a", "b", "c", "d", "e"];
    let named: Vec<_> =
        names.into_iter().zip(&schedules).map(|(name, (_, schedule))| (name, schedule.clone())).collect();
    let bench = Bench::of(start, &named).await;
    let mut now = at(start);
    let until = |now: Timestamp| {
        let due = |times: &&[&str]| times.iter().filter(|time| at(time) <= now).count();
        expected.iter().map(|(_, times)| due(times)).sum::<usize>()
    };
    for _ in 0..hours * 12 {
        bench.step(STEP).await;
        now = now + STEP;
        bench.ended(until(now)).await;
    }
    bench.step(Duration::from_secs(1)).await;
    let all = bench.runs().await;
    let records = bench.kit.engine.state().syncs().await.unwrap();
    for (name, (pattern, times)) in names.iter().zip(expected) {
        let id = records.iter().find(|record| record.name == *name).map(|record| record.id);
        let began: Vec<_> = all.iter().filter(|run| Some(run.sync) == id).map(|run| run.started_at).collect();
        assert_eq!(began.len(), times.len(), "{zone}, {pattern}: {began:?}");
        for (began, time) in began.iter().zip(*times) {
            assert!(*began >= at(time) && began.since(at(time)) < STEP, "{zone}, {pattern}: {began} for {time}");
        }
    }
    bench.stop().await;
}

#[tokio::test]
async fn berlin_set_forward() {
    let expected: &[(&str, &[&str])] = &[
        ("30 2 * * *", &["2026-03-29T01:00:00Z"]),
        ("0,30 2 * * *", &["2026-03-29T01:00:00Z"]),
        ("30 * * * *", &["2026-03-29T00:30:00Z", "2026-03-29T01:30:00Z"]),
        (
            "*/15 1,2,3 * * *",
            &[
                "2026-03-29T00:15:00Z",
                "2026-03-29T00:30:00Z",
                "2026-03-29T00:45:00Z",
                "2026-03-29T01:00:00Z",
                "2026-03-29T01:15:00Z",
                "2026-03-29T01:30:00Z",
                "2026-03-29T01:45:00Z",
            ],
        ),
        ("0 0 * * *", &[]),
    ];
    runs("Europe/Berlin", "2026-03-29T00:02:00Z", 2, expected).await;
}

#[tokio::test]
async fn berlin_set_back() {
    let expected: &[(&str, &[&str])] = &[
        ("30 2 * * *", &["2026-10-25T00:30:00Z"]),
        (
            "30 * * * *",
            &["2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"],
        ),
        ("0,30 2 * * *", &["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z"]),
    ];
    runs("Europe/Berlin", "2026-10-24T23:02:00Z", 4, expected).await;
}

#[tokio::test]
async fn midnight_in_havana_and_half_an_hour_on_lord_howe() {
    let daily: &[(&str, &[&str])] =
        &[("0 0 * * *", &["2026-03-08T05:00:00Z"]), ("30 0 * * *", &["2026-03-08T05:00:00Z"])];
    runs("America/Havana", "2026-03-08T03:02:00Z", 3, daily).await;
    let hourly: &[(&str, &[&str])] = &[
        ("30 * * * *", &["2026-04-04T14:30:00Z", "2026-04-04T15:00:00Z", "2026-04-04T16:00:00Z"]),
        ("45 1 * * *", &["2026-04-04T14:45:00Z"]),
    ];
    runs("Australia/Lord_Howe", "2026-04-04T14:02:00Z", 2, hourly).await;
}

/// Each change of each zone of the database in 2026, minute by minute: every time is taken once, none twice. When the
/// times are is tested beside [`Cron`].
#[tokio::test]
async fn no_zone_doubles_or_misses_a_run() {
    let (from, to) = (at("2026-01-01T00:00:00Z"), at("2027-01-01T00:00:00Z"));
    let instant = |time: Timestamp| jiff::Timestamp::from_microsecond(time.as_micros()).unwrap();
    let minute = Duration::from_secs(60);
    let origin = Instant::now();
    let mut changes = 0;
    for name in TimeZoneDatabase::bundled().available() {
        let zone = TimeZoneDatabase::bundled().get(name.as_str()).unwrap();
        for change in zone.following(instant(from)).take_while(|change| change.timestamp() < instant(to)) {
            changes += 1;
            let change = Timestamp::from_micros(change.timestamp().as_microsecond());
            let (begin, end) = (change - 180 * minute, change + 180 * minute);
            for pattern in ["*/15 * * * *", "30 * * * *", "30 2 * * *", "0 0 * * *"] {
                let cron = Cron::parse(pattern, name.as_str()).unwrap();
                let times: Vec<_> = std::iter::successors(cron.after(begin), |time| cron.after(*time))
                    .take_while(|time| *time <= end)
                    .collect();
                let mut due =
                    Due::new(&Schedule::Cron(Box::new(cron)), Now { instant: origin, wall: begin }, None, 0.0);
                let walk = (0..=360).map(|minutes| Now { instant: origin, wall: begin + minutes * minute });
                let taken: Vec<_> = walk.filter_map(|now| due.take(now).map(|since| (since, now.wall))).collect();
                let expected: Vec<_> = times.iter().map(|time| (*time, *time)).collect();
                assert_eq!(taken, expected, "{name}, {pattern}");
            }
        }
    }
    assert!(changes > 300, "{changes} changes");
}
