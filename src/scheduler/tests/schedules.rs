//! Intervals, `after`, overdue syncs, waiting and stopping.

use std::time::Duration;

use super::{
    super::{RequestKind, overdue::Alarm, post},
    bench::{Bench, at, kit},
};
use crate::{
    model::{Cron, spec::Schedule},
    run::{
        Trigger,
        testing::{Kit, rows},
    },
    state::RunStatus,
    telemetry::{self, events},
};

const START: &str = "2026-06-01T00:00:30Z";
const MINUTE: Duration = Duration::from_secs(60);

fn every(minutes: u32) -> Schedule {
    Schedule::Every(minutes * MINUTE)
}

fn after(parents: &[&str]) -> Schedule {
    Schedule::After(parents.iter().map(|name| (*name).to_owned()).collect())
}

fn hourly() -> Schedule {
    Schedule::Cron(Box::new(Cron::parse("0 * * * *", "UTC").unwrap()))
}

#[tokio::test]
async fn a_sync_that_is_due_again_while_it_runs_keeps_one_pending_run() {
    let bench = Bench::of(START, &[("a", every(5))]).await;
    let gate = bench.kit.source.gate.clone();
    let held = gate.lock().await;
    for _ in 0..6 {
        bench.step(5 * MINUTE).await;
    }
    drop(held);
    bench.ended(2).await;
    bench.step(Duration::from_secs(2)).await;
    assert_eq!(bench.runs().await.len(), 2, "the run under way and one more");
    bench.stop().await;
}

#[tokio::test]
async fn syncs_of_one_model_are_due_together_and_served_in_order() {
    let bench = Bench::of(START, &[("a", every(10)), ("b", every(10)), ("c", every(10)), ("d", every(10))]).await;
    bench.step(MINUTE).await;
    assert_eq!(bench.order(4).await, ["a", "b", "c", "d"], "first come first served");
    bench.step(9 * MINUTE).await;
    bench.step(MINUTE).await;
    assert_eq!(bench.order(8).await[4..], ["a", "b", "c", "d"]);
    bench.stop().await;
}

#[tokio::test]
async fn syncs_that_start_together_share_a_read() {
    // Two at once.
    let bench = Bench::start(kit(START, &[("a", every(10)), ("b", every(10))]).await).await;
    bench.step(MINUTE).await;
    bench.ended(2).await;
    assert_eq!(bench.kit.source.reads(), 1);
    bench.stop().await;
}

#[tokio::test]
async fn a_child_runs_once_after_all_its_parents() {
    let bench = Bench::of(START, &[("a", Schedule::Manual), ("b", Schedule::Manual), ("c", after(&["a", "b"]))]).await;
    let state = bench.kit.engine.state().clone();
    let ask = async |name: &str| post(&state, &RequestKind::Sync { sync: name.to_owned() }).await.unwrap();
    ask("a").await;
    bench.step(MINUTE).await;
    assert_eq!(bench.order(1).await, ["a"]);
    bench.step(MINUTE).await;
    ask("a").await;
    ask("b").await;
    bench.step(MINUTE).await;
    let order = bench.order(4).await;
    assert_eq!(order[3], "c", "{order:?}");
    for _ in 0..3 {
        bench.step(MINUTE).await;
    }
    ask("b").await;
    bench.step(MINUTE).await;
    bench.ended(5).await;
    bench.step(MINUTE).await;
    assert_eq!(bench.runs().await.len(), 5, "`a` has not closed since");
    bench.stop().await;
}

#[tokio::test]
async fn a_child_finds_at_start_what_a_command_has_run_and_does_not_repeat_its_own_failure() {
    let kit = kit(START, &[("p", Schedule::Manual), ("q", after(&["p"]))]).await;
    kit.source.set(&rows(0..2, "a"));
    assert_eq!(kit.engine.run_sync("p", Trigger::Command).await.status, RunStatus::Ok);
    kit.vendor.panic_once();
    let bench = Bench::start(kit).await;
    bench.step(MINUTE).await;
    // Two may run at once: the order is that of the starts only if the first has begun.
    while bench.runs().await.len() < 2 {
        bench.step(Duration::from_secs(1)).await;
    }
    let state = bench.kit.engine.state().clone();
    let request = post(&state, &RequestKind::Sync { sync: "p".to_owned() }).await.unwrap();
    bench.step(MINUTE).await;
    while state.request(request).await.unwrap().unwrap().result.is_none() {
        bench.step(MINUTE).await;
    }
    let order = bench.order(3).await;
    assert_eq!(order[..3], ["p", "q", "p"], "the defect of `q` is not repeated until `p` has closed again");
    bench.stop().await;
}

#[tokio::test]
async fn a_missed_time_is_made_up_for_at_start() {
    let kit = kit(START, &[("a", hourly()), ("b", hourly())]).await;
    kit.source.set(&rows(0..2, "a"));
    assert_eq!(kit.engine.run_sync("a", Trigger::Command).await.status, RunStatus::Ok);
    crate::run::testing::advance(150 * MINUTE).await;
    let bench = Bench::start(kit).await;
    assert_eq!(bench.order(2).await, ["a", "a"]);
    bench.step(MINUTE).await;
    assert_eq!(bench.runs().await.len(), 2, "`b` has never run and waits");
    bench.step(28 * MINUTE).await;
    bench.step(MINUTE).await;
    assert_eq!(bench.ended(4).await.len(), 4);
    bench.stop().await;
}

#[tokio::test]
async fn a_stop_ends_the_run_under_way_and_starts_none() {
    let bench = Bench::of(START, &[("a", every(5)), ("b", hourly())]).await;
    let gate = bench.kit.source.gate.clone();
    let held = gate.lock().await;
    bench.step(MINUTE).await;
    bench.kit.shutdown.cancel();
    drop(held);
    let state = bench.kit.engine.state().clone();
    bench.stop().await;
    let runs = state.runs(None, 10).await.unwrap();
    assert!(runs.iter().all(|run| run.status != RunStatus::Running), "{runs:?}");
    assert!(runs.len() <= 1);
}

#[tokio::test]
async fn an_overdue_sync_is_logged_until_it_recovers() {
    let (log, _guard) = telemetry::testing::collect();
    let mut specs = Kit::specs();
    specs.syncs[0].max_age = Some(10 * MINUTE);
    let kit = Kit::starting(10, at(START), specs).await;
    let bench = Bench::start(kit).await;
    let lines = async |event, count: usize| {
        for _ in 0..50 {
            bench.step(Duration::from_secs(6)).await;
            bench.runs().await;
            if log.count(event) >= count {
                break;
            }
        }
        log.count(event)
    };
    bench.step(9 * MINUTE).await;
    assert_eq!(log.count(events::SYNC_OVERDUE), 0);
    assert_eq!(lines(events::SYNC_OVERDUE, 1).await, 1, "it has never run");
    bench.step(9 * MINUTE).await;
    assert_eq!(lines(events::SYNC_OVERDUE, 2).await, 2, "again after another `max_age`");
    post(bench.kit.engine.state(), &RequestKind::Sync { sync: "s".to_owned() }).await.unwrap();
    assert_eq!(lines(events::SYNC_RECOVERED, 1).await, 1);
    assert_eq!(log.count(events::SYNC_OVERDUE), 2);
    bench.stop().await;
}

#[test]
fn an_overdue_sync_is_told_once_an_age() {
    let start = at(START);
    let age = 60 * MINUTE;
    let mut alarm = Alarm::new(start);
    let mut rings = Vec::new();
    let mut look = |alarm: &mut Alarm, minutes: u32, last_ok: Option<u32>| {
        let before = alarm.rung();
        let last_ok = last_ok.map(|minutes| start + minutes * MINUTE);
        alarm.look("s", age, last_ok, start + minutes * MINUTE);
        if alarm.rung() != before && alarm.rung().is_some() {
            rings.push(minutes);
        }
    };
    for minutes in 0..=200 {
        look(&mut alarm, minutes, None);
    }
    look(&mut alarm, 201, Some(201));
    assert_eq!(alarm.rung(), None, "recovered");
    let mut look = |alarm: &mut Alarm, minutes: u32, last_ok: Option<u32>| {
        let before = alarm.rung();
        alarm.look("s", age, last_ok.map(|minutes| start + minutes * MINUTE), start + minutes * MINUTE);
        if alarm.rung() != before {
            rings.push(minutes);
        }
    };
    for minutes in 201..=262 {
        look(&mut alarm, minutes, Some(201));
    }
    assert_eq!(rings, [61, 121, 181, 262]);
}
