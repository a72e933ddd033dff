//! Everything is sent again: asked for by an operator, or because the state was restored.

use super::{Kit, Step, row, rows};
use crate::{
    run::{Resync, RunError},
    state::{RunStatus, SyncRecord, SyncUpdate, Target},
};

async fn record(kit: &Kit) -> SyncRecord {
    kit.engine.state().sync("s").await.unwrap().unwrap()
}

/// As after opening a restored state.
async fn make_suspect(kit: &Kit) {
    kit.engine.state().suspect_all().await.unwrap();
}

#[tokio::test]
async fn a_resync_sends_every_row_once_and_the_guard_does_not_mind() {
    let kit = Kit::with(100, |_| {}).await;
    kit.run_ok(&rows(0..500, "a")).await;
    kit.vendor.calls();
    kit.engine.resync("s", &Resync::Whole).await.unwrap();
    assert!(record(&kit).await.resync_open);
    let report = kit.run_ok(&rows(0..500, "a")).await;
    assert_eq!((report.counts.changed, report.counts.delivered, report.counts.guarded), (500, 500, 0));
    let calls = kit.vendor.calls();
    assert!(calls.iter().flat_map(|call| &call.rows).all(|(id, _)| id.is_some()), "record ids are kept");
    assert!(!record(&kit).await.resync_open);
    assert_eq!(kit.run_ok(&rows(0..500, "a")).await.counts.unchanged, 500);
}

#[tokio::test]
async fn a_crashed_resync_goes_on_with_what_is_left() {
    let kit = Kit::new().await;
    kit.run_ok(&rows(0..30, "a")).await;
    kit.engine.resync("s", &Resync::Whole).await.unwrap();
    kit.vendor.script([Step::Apply, Step::Hang]);
    kit.crash(&rows(0..30, "a")).await;
    assert_eq!(kit.engine.state().standing(record(&kit).await.id).await.unwrap().dirty, 20);
    let report = kit.run_ok(&rows(0..30, "a")).await;
    assert_eq!((report.counts.unchanged, report.counts.delivered), (10, 20));
    // And one that is asked for again in between begins anew.
    kit.engine.resync("s", &Resync::Whole).await.unwrap();
    kit.vendor.script([Step::Apply, Step::Hang]);
    kit.crash(&rows(0..30, "a")).await;
    kit.engine.resync("s", &Resync::Whole).await.unwrap();
    assert_eq!(kit.run_ok(&rows(0..30, "a")).await.counts.delivered, 30);
}

#[tokio::test]
async fn a_resync_beside_a_run_is_the_next_runs_work() {
    let kit = Kit::new().await;
    kit.run_ok(&rows(0..10, "a")).await;
    kit.source.set(&rows(0..10, "b"));
    kit.vendor.script([Step::Hang]);
    tokio::select! {
        report = kit.engine.run_sync("s", crate::run::Trigger::Command) => panic!("the run ended: {report:?}"),
        () = async {
            kit.vendor.hanging.notified().await;
            kit.engine.resync("s", &Resync::Whole).await.unwrap();
        } => {}
    }
    assert_eq!(kit.run_ok(&rows(0..10, "b")).await.counts.delivered, 10);
    assert!(!record(&kit).await.resync_open);
}

#[tokio::test]
async fn single_keys_are_sent_again_and_unknown_ones_refused() {
    let kit = Kit::new().await;
    kit.run_ok(&rows(0..10, "a")).await;
    let keys = |keys: &[&str]| Resync::Keys(keys.iter().map(|&key| key.to_owned()).collect());
    for unknown in ["77", "seven", "1, 2"] {
        let refused = kit.engine.resync("s", &keys(&["3", unknown])).await;
        assert!(matches!(refused, Err(RunError::Refused { .. })), "{unknown}");
    }
    assert_eq!(kit.run_ok(&rows(0..10, "a")).await.counts.delivered, 0, "a refused request marks nothing");
    kit.engine.resync("s", &keys(&["3", "7"])).await.unwrap();
    let report = kit.run_ok(&rows(0..10, "a")).await;
    assert_eq!((report.counts.unchanged, report.counts.delivered), (8, 2));
    assert_eq!(kit.run_ok(&rows(0..10, "a")).await.counts.unchanged, 10);
    // A key that left the model meanwhile is removed as ever.
    kit.engine.resync("s", &keys(&["9"])).await.unwrap();
    assert_eq!(kit.run_ok(&rows(0..9, "a")).await.counts.removed, 1);
    assert_eq!(kit.vendor.records().len(), 9);
}

#[tokio::test]
async fn a_suspect_state_removes_nothing_until_every_row_was_delivered() {
    let kit = Kit::new().await;
    kit.run_ok(&rows(0..20, "a")).await;
    make_suspect(&kit).await;
    kit.vendor.refuse("3@x");
    let mut model = rows(0..18, "a");
    let report = kit.run(&model).await;
    assert_eq!((report.status, report.counts.delivered, report.counts.rejected), (RunStatus::Guarded, 17, 1));
    assert_eq!((report.counts.waiting_removals, report.counts.removed), (2, 0));
    assert!(record(&kit).await.suspect, "a row was refused: whose record it has is not known");
    kit.vendor.accept_all();
    model[3].name = "mended".to_owned();
    let report = kit.run(&model).await;
    assert_eq!((report.counts.delivered, report.counts.unchanged, report.counts.removed), (1, 17, 0));
    assert!(!record(&kit).await.suspect);
    let report = kit.run_ok(&model).await;
    assert_eq!((report.counts.removed, kit.vendor.records().len()), (2, 18));
}

#[tokio::test]
async fn an_operator_can_trust_a_suspect_state() {
    let kit = Kit::new().await;
    kit.run_ok(&rows(0..20, "a")).await;
    make_suspect(&kit).await;
    kit.engine.resync("s", &Resync::Trust).await.unwrap();
    let report = kit.run_ok(&rows(0..18, "a")).await;
    assert_eq!((report.counts.removed, report.counts.delivered, report.counts.unchanged), (2, 2, 18));
    // What an operator asked for is not taken back by that.
    kit.engine.resync("s", &Resync::Whole).await.unwrap();
    kit.engine.resync("s", &Resync::Trust).await.unwrap();
    assert_eq!(kit.run_ok(&rows(0..18, "a")).await.counts.delivered, 18);
}

/// The claimant takes the record over while removals wait, or a suspect sync could never be trusted again.
#[tokio::test]
async fn a_takeover_goes_while_a_state_is_suspect() {
    let kit = Kit::new().await;
    kit.run_ok(&rows(0..3, "a")).await;
    make_suspect(&kit).await;
    let model = vec![row(0, "0@x", "a"), row(1, "1@x", "a"), row(9, "2@x", "b")];
    let report = kit.run(&model).await;
    assert_eq!((report.counts.delivered, report.counts.waiting, report.counts.removed), (3, 0, 0), "{report:?}");
    assert!(!record(&kit).await.suspect);
    assert_eq!(kit.run_ok(&model).await.counts.unchanged, 3);
    assert_eq!(kit.vendor.records().len(), 3);
}

#[tokio::test]
async fn a_paused_sync_does_not_run() {
    let kit = Kit::new().await;
    assert!(kit.engine.pause("s", true).await.is_err(), "one that never ran has nothing to pause");
    kit.run_ok(&rows(0..3, "a")).await;
    kit.engine.pause("s", true).await.unwrap();
    let report = kit.run(&rows(0..4, "a")).await;
    assert_eq!((report.status, kit.vendor.records().len()), (RunStatus::Refused, 3));
    kit.engine.pause("s", false).await.unwrap();
    kit.run_ok(&rows(0..4, "a")).await;
}

/// The state says that the sync's first run had another target than the configuration.
async fn had_target(kit: &Kit, change: fn(&mut Target)) {
    let SyncRecord { id, mut target, .. } = record(kit).await;
    change(&mut target);
    let update = SyncUpdate { target: Some(target), ..SyncUpdate::default() };
    kit.engine.state().update_sync(id, update).await.unwrap();
}

#[tokio::test]
async fn another_match_is_accepted_and_another_object_or_key_is_not() {
    let kit = Kit::new().await;
    kit.run_ok(&rows(0..5, "a")).await;
    had_target(&kit, |target| target.match_fields = vec!["name".to_owned()]).await;
    let refused = kit.run(&rows(0..5, "a")).await;
    assert_eq!(refused.status, RunStatus::Refused);
    assert!(refused.hint.unwrap().contains("resync s --target"));
    kit.engine.resync("s", &Resync::Target).await.unwrap();
    kit.vendor.calls();
    assert_eq!(kit.run_ok(&rows(0..5, "a")).await.counts.delivered, 5);
    assert!(kit.vendor.calls()[0].rows.iter().all(|(id, _)| id.is_some()), "the record id stays the address");
    kit.converges(&rows(0..5, "a")).await;

    let changes: [fn(&mut Target); 3] = [
        |target| target.object = "companies".to_owned(),
        |target| target.key.columns = vec!["email".to_owned()],
        |target| target.destination = "hubspot".to_owned(),
    ];
    for change in changes {
        let before = record(&kit).await.target;
        had_target(&kit, change).await;
        let changed = record(&kit).await;
        let refused = kit.engine.resync("s", &Resync::Target).await;
        assert!(matches!(refused, Err(RunError::Refused { .. })), "{refused:?}");
        assert_eq!(record(&kit).await, changed, "a refused request changes nothing");
        let update = SyncUpdate { target: Some(before), ..SyncUpdate::default() };
        kit.engine.state().update_sync(changed.id, update).await.unwrap();
    }
}
