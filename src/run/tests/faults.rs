//! Refusals, poison rows, backoff, stops: what is counted and what is tried again.

use std::{sync::atomic::Ordering, time::Duration};

use super::{Kit, Step, answered, fault, kit::advance, row, rows};
use crate::{
    destination::{Outcome, Rejection},
    model::spec::{Mode, OnRemoved},
    shutdown,
    state::RunStatus,
    wire::{Fault, FaultKind, Sent, VendorText},
};

#[tokio::test]
async fn a_poison_row_is_found_by_halving_and_alone_rejected() {
    let kit = Kit::new().await;
    kit.vendor.refuses_whole.store(true, Ordering::Relaxed);
    kit.vendor.refuse("7@x");
    let report = kit.run(&rows(0..30, "a")).await;
    assert_eq!((report.counts.delivered, report.counts.rejected), (29, 1));
    assert_eq!(report.status, RunStatus::Partial);
    let keys: std::collections::BTreeSet<_> = kit.vendor.calls().into_iter().map(|call| call.key).collect();
    assert_eq!(keys.len(), 9, "every part has a key of its own");
}

#[tokio::test]
async fn a_reject_waits_for_its_backoff_or_a_changed_record() {
    let kit = Kit::new().await;
    kit.vendor.refuse("1@x");
    assert_eq!(kit.run(&rows(0..3, "a")).await.counts.rejected, 1);
    let waits = kit.run(&rows(0..3, "a")).await;
    assert_eq!((waits.counts.waiting, waits.counts.unchanged, waits.status), (1, 2, RunStatus::Partial));
    assert_eq!(kit.run(&rows(0..3, "b")).await.counts.rejected, 1);
    advance(Duration::from_secs(15 * 60)).await;
    assert_eq!(kit.run(&rows(0..3, "b")).await.counts.rejected, 1, "a changed record's backoff begins anew");
    assert_eq!(kit.run(&rows(0..3, "b")).await.counts.waiting, 1);
    kit.vendor.accept_all();
    advance(Duration::from_secs(3600)).await;
    assert_eq!(kit.run_ok(&rows(0..3, "b")).await.counts.delivered, 1);
}

#[tokio::test]
async fn standing_rejects_do_not_stop_a_run() {
    let kit = Kit::with(100, |sync| sync.guard.max_changed = 100.0).await;
    kit.run_ok(&rows(0..600, "a")).await;
    (0..250).for_each(|id| kit.vendor.refuse(&format!("{id}@x")));
    kit.run(&rows(0..600, "b")).await;
    advance(Duration::from_secs(15 * 60)).await;
    let mut model = rows(0..600, "b");
    model.push(row(900, "900@x", "new"));
    let report = kit.run(&model).await;
    assert_eq!((report.status, report.counts.rejected), (RunStatus::Partial, 250), "{report:?}");
}

#[tokio::test]
async fn mostly_refused_rows_stop_a_run() {
    let kit = Kit::with(100, |_| {}).await;
    (0..600).for_each(|id| kit.vendor.refuse(&format!("{id}@x")));
    let report = kit.run(&rows(0..600, "a")).await;
    assert_eq!(report.status, RunStatus::Failed);
    assert!(report.counts.left_over > 0);
}

#[tokio::test]
async fn an_outage_leaves_the_rest_over_and_the_next_run_goes_on() {
    let kit = Kit::new().await;
    kit.vendor.script((0..30).map(|_| fault(FaultKind::Connect, Sent::No)));
    let report = kit.run(&rows(0..100, "a")).await;
    assert_eq!((report.status, report.counts.left_over), (RunStatus::Failed, 100), "{report:?}");
}

#[tokio::test]
async fn a_vendor_that_never_answers_ends_the_run() {
    let kit = Kit::new().await;
    // Each attempt outlives the intent: new ones are written, but the attempts still count.
    kit.vendor.script((0..40).map(|at| match at % 2 {
        0 => fault(FaultKind::TimedOut, Sent::Maybe),
        _ => fault(FaultKind::Expired, Sent::No),
    }));
    let report = kit.run(&rows(0..5, "a")).await;
    assert_eq!(report.counts.unknown, 5, "{report:?}");
    assert!(kit.vendor.calls().len() <= 7);
}

#[tokio::test]
async fn a_row_that_is_gone_by_match_is_refused() {
    let kit = Kit::new().await;
    kit.vendor.script((0..5).map(|_| answered(|_| Outcome::Gone)));
    let report = kit.run(&[row(1, "1@x", "a")]).await;
    assert_eq!((report.counts.rejected, kit.vendor.calls().len()), (1, 1));
}

#[tokio::test]
async fn a_row_to_try_again_is_alone_in_its_next_attempt() {
    let kit = Kit::new().await;
    kit.vendor.script([answered(|row| match row.correlation {
        1 => Outcome::Retry(Rejection {
            code: "LOCKED".to_owned(),
            text: VendorText::new("locked"),
            field: None,
            conflict: false,
        }),
        _ => Outcome::Delivered { record_id: Some(format!("10{}", row.correlation).into_boxed_str()) },
    })]);
    kit.run_ok(&rows(0..3, "a")).await;
    let calls = kit.vendor.calls();
    assert_eq!(calls.iter().map(|call| call.rows.len()).collect::<Vec<_>>(), [3, 1]);
}

#[tokio::test]
async fn a_stop_leaves_everything_over() {
    let kit = Kit::new().await;
    kit.run_ok(&rows(0..50, "a")).await;
    kit.vendor.script([Step::Apply, fault(FaultKind::Stopped, Sent::No)]);
    let report = kit.run(&rows(0..45, "b")).await;
    assert_eq!((report.status, report.counts.delivered, report.counts.left_over), (RunStatus::Interrupted, 10, 40));
    kit.converges(&rows(0..45, "b")).await;
}

#[tokio::test]
async fn a_stop_while_planning_sends_nothing() {
    let kit = Kit::new().await;
    kit.shutdown.cancel();
    assert_eq!(kit.run(&rows(0..5, "a")).await.status, RunStatus::Interrupted);
    assert!(kit.vendor.calls().is_empty());
}

/// Stops when something hangs, and lets so much time pass.
async fn stop_and_wait(kit: &Kit, time: Duration) {
    kit.vendor.hanging.notified().await;
    kit.shutdown.cancel();
    advance(time).await;
}

#[tokio::test]
async fn a_stop_gives_up_a_request_that_hangs() {
    let kit = Kit::new().await;
    kit.vendor.script([Step::Apply, Step::Hang]);
    let model = rows(0..25, "a");
    let (report, ()) = tokio::join!(kit.run(&model), stop_and_wait(&kit, shutdown::REQUESTS));
    let counts = report.counts;
    assert_eq!((report.status, counts.delivered, counts.unknown), (RunStatus::Interrupted, 10, 10), "{report:?}");
    assert_eq!(counts.left_over, 5);
    let kept = kit.engine.state().runs(None, 1).await.unwrap();
    assert_eq!(kept[0].status, RunStatus::Interrupted, "the run is closed");
}

#[tokio::test]
async fn a_stop_gives_up_whatever_else_hangs() {
    let kit = Kit::new().await;
    kit.vendor.is_mute.store(true, Ordering::Relaxed);
    let model = rows(0..25, "a");
    let (report, ()) = tokio::join!(kit.run(&model), stop_and_wait(&kit, shutdown::RUNS));
    assert_eq!(report.status, RunStatus::Interrupted, "{report:?}");
    let kept = kit.engine.state().runs(None, 1).await.unwrap();
    assert_eq!(kept[0].status, RunStatus::Interrupted, "the run is closed");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_the_lookup_before_a_second_insert() {
    let kit = Kit::with(10, |sync| (sync.mode, sync.on_removed) = (Mode::Insert, OnRemoved::Keep)).await;
    kit.vendor.script([Step::LoseAnswer]);
    kit.vendor.is_mute.store(true, Ordering::Relaxed);
    let model = rows(0..5, "a");
    let begun = std::time::Duration::ZERO;
    let (report, ()) = tokio::join!(kit.run(&model), stop_and_wait(&kit, begun));
    assert_eq!(report.status, RunStatus::Interrupted, "{report:?}");
}

#[tokio::test]
async fn a_run_that_fails_after_it_delivered_tells_what_it_delivered() {
    let kit = Kit::new().await;
    kit.vendor.keeps_back.store(true, Ordering::Relaxed);
    kit.vendor.refuse("7@x");
    let report = kit.run(&rows(0..25, "a")).await;
    assert_eq!(report.status, RunStatus::Failed);
    assert_eq!((report.counts.delivered, report.counts.rejected, report.counts.left_over), (24, 1, 0), "{report:?}");
    assert_eq!(report.requests.batches, 3);
    let kept = kit.engine.state().runs(None, 1).await.unwrap();
    assert_eq!((kept[0].status, kept[0].counts.delivered), (RunStatus::Failed, 24));
}

#[tokio::test]
async fn a_read_that_takes_longer_than_a_plan_may_last_is_delivered() {
    let kit = Kit::with(10, |sync| sync.max_plan_age = Duration::from_secs(10)).await;
    let gate = kit.source.gate.clone().lock_owned().await;
    let slow_read = async {
        while kit.source.reads() == 0 {
            tokio::task::yield_now().await;
        }
        advance(Duration::from_secs(15)).await;
        drop(gate);
    };
    let model = rows(0..5, "a");
    let (report, ()) = tokio::join!(kit.run(&model), slow_read);
    assert_eq!((report.status, report.counts.delivered), (RunStatus::Ok, 5), "{report:?}");
}

#[tokio::test]
async fn two_minutes_after_a_429_are_waited_for_and_longer_ends_the_run() {
    let throttled = |seconds: u64| {
        let mut fault = Fault::new(FaultKind::Throttled, Sent::Yes);
        fault.retry_after = Some(Duration::from_secs(seconds));
        Step::Fail(fault)
    };
    let kit = Kit::new().await;
    kit.vendor.script([throttled(120)]);
    let report = kit.run_ok(&rows(0..5, "a")).await;
    assert_eq!((report.counts.delivered, kit.vendor.calls().len()), (5, 2), "{report:?}");
    let kit = Kit::new().await;
    kit.vendor.script([throttled(121)]);
    let report = kit.run(&rows(0..5, "a")).await;
    assert_eq!((report.status, report.counts.left_over), (RunStatus::Deferred, 5), "{report:?}");
    assert_eq!(kit.vendor.calls().len(), 1);
}
