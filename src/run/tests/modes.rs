//! Modes `insert`, `update` and `append` through faults, crashes and changes.

use std::time::Duration;

use super::{Kit, Row, Step, fault, kit::advance, row, rows};
use crate::{
    model::{
        Operation,
        spec::{CursorSpec, GuardSpec, Lookback, Mode, OnRemoved},
    },
    run::RunReport,
    state::RunStatus,
    wire::{FaultKind, Sent},
};

const MAYBE: [fn() -> Step; 3] = [|| Step::LoseAnswer, || Step::LoseAnswer, || Step::LoseAnswer];

async fn kit(mode: Mode) -> Kit {
    Kit::with(10, |sync| (sync.mode, sync.on_removed) = (mode, OnRemoved::Keep)).await
}

/// Events of key and place `id`; late ones may come `lookback` behind the newest.
async fn appending(lookback: u32, honours: bool) -> Kit {
    let kit = Kit::with(10, |sync| {
        (sync.mode, sync.on_removed) = (Mode::Append, OnRemoved::Keep);
        sync.match_fields = Vec::new();
        let lookback = Lookback::Steps(lookback);
        sync.cursor = Some(CursorSpec { column: "at".to_owned(), lookback, start: None });
    })
    .await;
    kit.vendor.append_log(honours);
    kit
}

fn counted(report: &RunReport) -> [u64; 4] {
    let counts = &report.counts;
    [counts.read, counts.unchanged, counts.delivered, counts.waiting]
}

async fn watermark(kit: &Kit) -> Option<i64> {
    kit.engine.state().sync("s").await.unwrap().unwrap().cursor.and_then(|cursor| cursor.watermark)
}

async fn entries(kit: &Kit) -> u64 {
    let sync = kit.engine.state().sync("s").await.unwrap().unwrap();
    kit.engine.state().standing(sync.id).await.unwrap().entries
}

#[tokio::test]
async fn insert_creates_and_never_touches_again() {
    let kit = kit(Mode::Insert).await;
    assert_eq!(kit.run_ok(&rows(0..3, "a")).await.counts.delivered, 3);
    assert_eq!(kit.run_ok(&rows(0..4, "b")).await.counts.delivered, 1);
    // A key that leaves and comes back is not made a second time.
    assert_eq!(kit.run_ok(&rows(1..4, "b")).await.counts.skipped, 1);
    assert_eq!(counted(&kit.run_ok(&rows(0..4, "c")).await), [4, 4, 0, 0]);
    let names: Vec<_> = kit.vendor.records().into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["a", "a", "a", "b"]);
    assert!(kit.vendor.calls().iter().all(|call| call.operation == Operation::Insert));
    assert_eq!(counted(&kit.run_ok(&rows(0..4, "c")).await), [4, 4, 0, 0]);
}

#[tokio::test]
async fn what_exists_is_refused_until_the_row_changes() {
    let kit = kit(Mode::Insert).await;
    kit.vendor.script([Step::Apply]);
    kit.run_ok(&[row(1, "taken@x", "theirs")]).await;
    // Another key with the same value, whose owner is gone: the record is not touched.
    let report = kit.run(&[row(2, "taken@x", "ours")]).await;
    assert_eq!((report.counts.rejected, report.status), (1, RunStatus::Partial));
    advance(Duration::from_secs(48 * 3600)).await;
    assert_eq!(kit.run(&[row(2, "taken@x", "ours")]).await.counts.waiting, 1);
    let listed = kit.engine.state().sync("s").await.unwrap().unwrap();
    let listed = kit.engine.state().rejected(listed.id, None, 10).await.unwrap();
    assert_eq!(listed[0].1.code, "exists");
    assert_eq!(kit.vendor.records(), [("taken@x".to_owned(), "theirs".to_owned())]);
    kit.run_ok(&[row(2, "free@x", "ours")]).await;
    assert_eq!(kit.vendor.records().len(), 2);
}

#[tokio::test]
async fn a_lost_insert_is_found_before_it_is_sent_again() {
    let kit = kit(Mode::Insert).await;
    kit.vendor.script([Step::LoseAnswer]);
    assert_eq!(kit.run_ok(&rows(0..5, "a")).await.counts.delivered, 5);
    assert_eq!(kit.vendor.calls().len(), 1, "found, not sent again");
    assert_eq!(kit.vendor.records().len(), 5);
    kit.run_ok(&rows(0..5, "b")).await;
    assert_eq!(kit.vendor.calls().len(), 0);
}

#[tokio::test]
async fn a_crashed_insert_is_found_by_the_next_run() {
    for changed in [false, true] {
        let kit = kit(Mode::Insert).await;
        kit.vendor.script([Step::Hang]);
        kit.crash(&rows(0..5, "a")).await;
        kit.vendor.calls();
        if changed {
            advance(Duration::from_secs(200)).await;
        }
        let (name, prefix) = if changed { ("b", "new") } else { ("a", "") };
        let model: Vec<Row> =
            rows(0..5, name).into_iter().map(|r| Row { email: format!("{prefix}{}", r.email), ..r }).collect();
        assert_eq!(kit.run_ok(&model).await.counts.delivered, 5);
        assert_eq!(kit.vendor.calls().len(), 0, "found, not sent again");
        assert!(kit.vendor.records().iter().all(|(_, name)| name == "a") && kit.vendor.records().len() == 5);
        assert_eq!(counted(&kit.run_ok(&model).await), [5, 5, 0, 0]);
    }
}

#[tokio::test]
async fn a_late_insert_that_overtakes_its_repetition_counts_as_ours() {
    let kit = kit(Mode::Insert).await;
    // Not there when asked for, and there when sent again: the vendor refuses the second.
    kit.vendor.script([Step::Late, Step::Late, Step::Late]);
    assert_eq!(kit.run(&rows(0..2, "a")).await.counts.unknown, 2);
    kit.vendor.apply_late();
    assert_eq!(kit.run_ok(&rows(0..2, "a")).await.counts.delivered, 2);
    assert_eq!(kit.vendor.records().len(), 2);
}

#[tokio::test]
async fn update_changes_what_is_there_and_creates_nothing() {
    let kit = kit(Mode::Update).await;
    kit.vendor.script([]);
    kit.vendor.put("1@x", "theirs");
    let report = kit.run(&rows(1..3, "a")).await;
    assert_eq!((report.counts.delivered, report.counts.rejected), (1, 1));
    assert_eq!(kit.vendor.records(), [("1@x".to_owned(), "a".to_owned())]);
    // Refused rows wait for their backoff; once the record is there they are updated.
    assert_eq!(kit.run(&rows(1..3, "a")).await.counts.waiting, 1);
    kit.vendor.put("2@x", "theirs");
    advance(Duration::from_secs(3600)).await;
    assert_eq!(kit.run_ok(&rows(1..3, "a")).await.counts.delivered, 1);
    // By id now; a record that was deleted is looked for by match once, and not made.
    kit.vendor.delete("1@x");
    kit.vendor.calls();
    let report = kit.run(&rows(1..3, "b")).await;
    assert_eq!((report.counts.delivered, report.counts.rejected), (1, 1));
    assert!(kit.vendor.calls().iter().all(|call| call.operation == Operation::Update));
    assert_eq!(kit.vendor.records(), [("2@x".to_owned(), "b".to_owned())]);
}

#[tokio::test]
async fn update_clears_what_left_the_model() {
    let kit = Kit::with(10, |sync| (sync.mode, sync.on_removed) = (Mode::Update, OnRemoved::Clear)).await;
    kit.vendor.put("1@x", "theirs");
    kit.run_ok(&[row(1, "1@x", "a")]).await;
    kit.run_ok(&[]).await;
    assert_eq!(kit.vendor.records(), [("1@x".to_owned(), String::new())]);
}

#[tokio::test]
async fn append_adds_each_event_once_and_forgets_behind_the_lookback() {
    let kit = appending(5, false).await;
    assert_eq!(counted(&kit.run_ok(&rows(0..20, "a")).await), [20, 0, 20, 0]);
    assert_eq!((watermark(&kit).await, entries(&kit).await), (Some(19), 20));
    // A late event within the lookback is added, one before it is not read; changed and removed ones are left alone.
    let mut model = rows(0..22, "b");
    model.push(Row { at: Some(15), ..row(30, "late@x", "late") });
    model.push(Row { at: Some(13), ..row(31, "too-late@x", "late") });
    model.retain(|row| row.id != Some(16));
    let report = kit.run_ok(&model).await;
    assert_eq!(counted(&report), [8, 5, 3, 0]);
    assert_eq!(report.counts.removed, 0);
    // What cannot be read again is forgotten: places 14 to 19 and the new ones are kept, also that of the vanished event.
    assert_eq!((watermark(&kit).await, entries(&kit).await), (Some(21), 6 + 3));
    kit.run_ok(&rows(0..22, "b")).await;
    assert_eq!(kit.vendor.records().len(), 23);
}

#[tokio::test]
async fn an_event_that_is_not_delivered_holds_the_watermark() {
    let kit = appending(2, true).await;
    kit.vendor.script(MAYBE.map(|step| step()));
    let report = kit.run(&rows(0..20, "a")).await;
    assert_eq!((report.counts.unknown, report.counts.delivered), (10, 10));
    assert_eq!(watermark(&kit).await, Some(0));
    // Again with the same keys: the vendor knows them.
    assert_eq!(kit.run_ok(&rows(0..20, "a")).await.counts.delivered, 10);
    assert_eq!((watermark(&kit).await, kit.vendor.records().len()), (Some(19), 20));
}

#[tokio::test]
async fn a_refused_event_holds_nothing_and_is_let_go_behind_the_lookback() {
    let kit = appending(3, true).await;
    kit.vendor.refuse("4@x");
    assert_eq!(kit.run(&rows(0..5, "a")).await.counts.rejected, 1);
    assert_eq!(watermark(&kit).await, Some(4));
    advance(Duration::from_secs(3600)).await;
    // Within the lookback it is tried again.
    assert_eq!(kit.run(&rows(0..6, "a")).await.counts.rejected, 1);
    kit.run(&rows(0..30, "a")).await;
    kit.vendor.accept_all();
    advance(Duration::from_secs(48 * 3600)).await;
    let report = kit.run(&rows(0..30, "a")).await;
    assert_eq!((report.counts.delivered, report.status), (0, RunStatus::Partial));
    assert_eq!(kit.vendor.records().len(), 29);
}

#[tokio::test]
async fn an_invalid_event_holds_the_watermark_and_a_place_of_null_is_named() {
    let kit = appending(1, true).await;
    let mut model = rows(0..5, "a");
    model[2] = Row { id: Some(1), ..row(1, "twin@x", "a") };
    model[2].at = Some(2);
    model[4].at = None;
    let report = kit.run(&model).await;
    assert_eq!((report.counts.invalid, report.counts.delivered), (3, 2));
    assert_eq!(watermark(&kit).await, Some(1));
    let sync = kit.engine.state().sync("s").await.unwrap().unwrap();
    let listed = kit.engine.state().invalid(sync.id, 10).await.unwrap();
    assert!(listed.iter().any(|row| row.field.as_deref() == Some("at")));
    kit.run_ok(&rows(0..5, "a")).await;
    assert_eq!((watermark(&kit).await, kit.vendor.records().len()), (Some(4), 5));
}

#[tokio::test]
async fn a_guarded_append_keeps_its_place() {
    let kit = Kit::with(10, |sync| {
        (sync.mode, sync.on_removed) = (Mode::Append, OnRemoved::Keep);
        sync.match_fields = Vec::new();
        sync.guard = GuardSpec { max_added_rows: Some(5), ..GuardSpec::default() };
        sync.cursor = Some(CursorSpec { column: "at".to_owned(), lookback: Lookback::Steps(0), start: None });
    })
    .await;
    kit.vendor.append_log(true);
    kit.run_ok(&rows(0..5, "a")).await;
    // Shares do not count: the snapshot is only the lookback.
    kit.run_ok(&rows(0..10, "a")).await;
    let report = kit.run(&rows(0..20, "a")).await;
    assert_eq!((report.status, report.counts.guarded), (RunStatus::Guarded, 10));
    assert_eq!(watermark(&kit).await, Some(10));
    kit.engine.state().approve(report.run.unwrap()).await.unwrap();
    kit.run_ok(&rows(0..20, "a")).await;
    assert_eq!((watermark(&kit).await, kit.vendor.records().len()), (Some(19), 20));
}

#[tokio::test]
async fn nothing_can_be_sent_and_nothing_is_lost() {
    let kit = appending(0, true).await;
    kit.vendor.script((0..4).map(|_| fault(FaultKind::Credentials, Sent::Yes)));
    assert_eq!(kit.run(&rows(0..20, "a")).await.counts.left_over, 20);
    assert_eq!(watermark(&kit).await, Some(0));
    kit.vendor.clear_script();
    assert_eq!(kit.run_ok(&rows(0..20, "a")).await.counts.delivered, 20);
}

/// Events come in, some late; requests are lost, late, refused; runs crash. The vendor honours keys: each event is there once.
async fn history(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let kit = appending(4, true).await;
    let mut model = Vec::new();
    for round in 0..6_i64 {
        for _ in 0..rng.usize(1..12) {
            let id = i64::try_from(model.len()).unwrap();
            let at = round * 3 + rng.i64(-3..3);
            model.push(Row { at: Some(at), ..row(id, &format!("{id}@x"), "a") });
        }
        kit.vendor.script((0..rng.usize(0..4)).map(|_| match rng.u8(0..6) {
            0 => Step::LoseAnswer,
            1 => Step::Late,
            2 => fault(FaultKind::Connect, Sent::No),
            3 => fault(FaultKind::Expired, Sent::No),
            4 => fault(FaultKind::BatchRefused, Sent::Yes),
            _ => Step::Apply,
        }));
        if rng.u8(0..3) == 0 {
            kit.vendor.script([Step::Hang]);
            kit.source.set(&model);
            tokio::select! {
                _ = kit.engine.run_sync("s", crate::run::Trigger::Command) => {}
                () = kit.vendor.hanging.notified() => {}
            }
        } else {
            kit.run(&model).await;
        }
        kit.vendor.clear_script();
        if rng.bool() {
            kit.vendor.apply_late();
        }
        advance(Duration::from_secs(rng.u64(0..60))).await;
    }
    kit.vendor.apply_late();
    for _ in 0..4 {
        // A batch that was refused as a whole left a reject of its last row.
        advance(Duration::from_secs(25 * 3600)).await;
        kit.run(&model).await;
    }
    let mut wanted: Vec<_> = model.iter().map(|row| (row.email.clone(), row.name.clone())).collect();
    wanted.sort();
    let held = kit.vendor.records();
    let mut distinct = held.clone();
    distinct.dedup();
    assert_eq!(held.len(), distinct.len(), "seed {seed}: an event twice");
    // An event that comes later than the lookback, or is refused until it is past it, is not sent: documented.
    assert!(held.iter().all(|event| wanted.contains(event)));
    let sync = kit.engine.state().sync("s").await.unwrap().unwrap();
    let refused = kit.engine.state().rejected(sync.id, None, 100).await.unwrap().len();
    assert!(held.len() + refused + too_late(&model) >= wanted.len(), "seed {seed}: {held:?}");
}

/// Events that came more than a lookback behind the newest one before them.
fn too_late(model: &[Row]) -> usize {
    let mut newest = i64::MIN;
    let mut late = 0;
    for row in model {
        let at = row.at.unwrap();
        late += usize::from(at < newest.saturating_sub(4));
        newest = newest.max(at);
    }
    late
}

#[tokio::test]
async fn random_events_are_there_once() {
    for seed in 0..20 {
        history(seed).await;
    }
}
