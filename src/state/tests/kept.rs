//! What every store must keep beside entries and marks: syncs, runs, approvals, requests, tokens.

use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::support::{Home, at, begin, key, on_every_store, started, sync};
use crate::{
    model::{ChangeKind, Counts, CursorKind, Fingerprint, InvalidCode, InvalidRow},
    state::{
        Access, CursorRecord, GuardedSet, MappingRecord, NullShare, RunClose, RunStatus, Settle, State, StateError,
        SyncUpdate,
    },
};

on_every_store!(
    syncs_runs_and_mappings_are_kept,
    null_shares_are_replaced_as_a_whole,
    guarded_sets_are_approved_for_a_day,
    an_approval_expires,
    requests_invalid_rows_accounts_and_removals_are_kept,
    of_two_successors_of_a_refresh_token_the_first_one_stays,
);

async fn syncs_runs_and_mappings_are_kept(home: Home) {
    let (state, run) = started(&home).await;
    let mapping = |hash: &str| Some(MappingRecord { hash: hash.to_owned(), text: format!("{hash} text") });
    for hash in ["a", "b", "b"] {
        state.update_sync(run.sync, SyncUpdate { mapping: mapping(hash), ..SyncUpdate::default() }).await.unwrap();
    }
    let update = SyncUpdate { first_run_closed: Some(true), last_ok_at: Some(at(9)), ..SyncUpdate::default() };
    state.update_sync(run.sync, update).await.unwrap();
    assert_eq!(state.sync("one").await.unwrap().unwrap().cursor, None);
    let cursor = |watermark| {
        let (column, kind) = ("at".to_owned(), CursorKind::Timestamp);
        Some(CursorRecord { column, kind, watermark, floor: Some(i64::MIN) })
    };
    for watermark in [None, Some(-7), Some(i64::MAX)] {
        let update = SyncUpdate { cursor: cursor(watermark), ..SyncUpdate::default() };
        state.update_sync(run.sync, update).await.unwrap();
        state.update_sync(run.sync, SyncUpdate::default()).await.unwrap();
        assert_eq!(state.sync("one").await.unwrap().unwrap().cursor, cursor(watermark));
    }
    let record = state.sync("one").await.unwrap().unwrap();
    assert_eq!((record.mapping, record.previous_mapping), (mapping("b"), mapping("a")));
    assert_eq!((record.first_run_closed, record.last_ok_at), (true, Some(at(9))));
    let counts = Counts { read: 3, unchanged: 3, ..Counts::default() };
    let summary = serde_json::json!({"requests": 2});
    let close = RunClose { run: run.run, status: RunStatus::Ok, counts, summary: summary.clone(), error: None };
    state.close_run(close).await.unwrap();
    let row = state.runs(Some(run.sync), 5).await.unwrap().remove(0);
    assert_eq!((row.status, row.counts, row.summary, row.trigger.as_str()), (RunStatus::Ok, counts, summary, "test"));
    assert!(row.ended_at.is_some());
    let (other, same) = (sync(&state, "two").await, sync(&state, "two").await);
    assert_eq!(other, same);
    let syncs = state.syncs().await.unwrap();
    let [one, two] = syncs.as_slice() else { panic!("two syncs") };
    assert_ne!(state.fingerprinter(one).of(b"x"), state.fingerprinter(two).of(b"x"));
    assert_ne!(state.fingerprinter(one).short(b"x"), state.owner_hasher(one).short(b"x"));
}

async fn null_shares_are_replaced_as_a_whole(home: Home) {
    let (state, run) = started(&home).await;
    let share = |field: &str, nulls| NullShare { field: field.to_owned(), read: 10, nulls };
    assert!(state.null_shares(run.sync).await.unwrap().is_empty());
    state.set_null_shares(run.sync, vec![share("b", 1), share("a", 10)]).await.unwrap();
    assert_eq!(state.null_shares(run.sync).await.unwrap(), [share("a", 10), share("b", 1)]);
    state.set_null_shares(run.sync, vec![share("b", 0)]).await.unwrap();
    assert_eq!(state.null_shares(run.sync).await.unwrap(), [share("b", 0)]);
}

async fn guarded_sets_are_approved_for_a_day(home: Home) {
    let (state, run) = started(&home).await;
    assert!(matches!(state.approve(run.run).await, Err(StateError::NothingToApprove { .. })));
    let rows: Vec<_> = (0..2_500)
        .map(|number| (key(number), ChangeKind::Removed, (number % 2 == 0).then(|| Fingerprint::from_bytes([1; 16]))))
        .collect();
    for chunk in rows.chunks(1_700) {
        state.writer().save_guarded(run.run, run.sync, GuardedSet::default(), chunk.to_vec()).await.unwrap();
    }
    assert!(state.approved(run.sync).await.unwrap().is_none());
    state.approve(run.run).await.unwrap();
    // Later guarded runs of the sync do not push the approved set out.
    for _ in 0..5 {
        let later = begin(&state, run.sync).await;
        state.writer().save_guarded(later.run, run.sync, GuardedSet::default(), rows[..1].to_vec()).await.unwrap();
    }
    let mut approval = state.approved(run.sync).await.unwrap().unwrap();
    assert_eq!((approval.run, approval.rows, approval.set), (run.run, 2_500, GuardedSet::default()));
    let mut found = Vec::new();
    while let Some(row) = approval.scan.next().await.unwrap() {
        found.push(row);
    }
    assert_eq!(found, rows);
    state.drop_approval(run.sync).await.unwrap();
    assert!(state.approved(run.sync).await.unwrap().is_none());
}

async fn an_approval_expires(home: Home) {
    let clock = crate::clock::Clock::following_tokio(at(1_000_000));
    let options = crate::state::OpenOptions { clock, ..home.options(Access::Runner) };
    let state = State::open(options).await.unwrap();
    let id = sync(&state, "one").await;
    let run = begin(&state, id).await;
    state
        .writer()
        .save_guarded(
            run.run,
            id,
            GuardedSet { first_run: true, of_invalid: false },
            vec![(key(1), ChangeKind::Added, None)],
        )
        .await
        .unwrap();
    state.approve(run.run).await.unwrap();
    assert!(state.approved(id).await.unwrap().is_some_and(|approval| approval.set.first_run));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(24 * 3600)).await;
    tokio::time::resume();
    assert!(state.approved(id).await.unwrap().is_none());
}

async fn requests_invalid_rows_accounts_and_removals_are_kept(home: Home) {
    let (state, run) = started(&home).await;
    let reader = home.open(Access::Reader).await.unwrap();
    let id = reader.post_request("sync", Some(run.sync), serde_json::json!({"keys": 1})).await.unwrap();
    let open = state.open_requests().await.unwrap();
    assert_eq!((open.len(), open[0].id, open[0].kind.as_str()), (1, id, "sync"));
    state.finish_request(id, serde_json::json!("done")).await.unwrap();
    reader.finish_request(id, serde_json::json!("withdrawn too late")).await.unwrap();
    assert!(state.open_requests().await.unwrap().is_empty());
    assert_eq!(reader.request(id).await.unwrap().unwrap().result, Some(serde_json::json!("done")));

    let row = InvalidRow {
        key: Some(key(3)),
        code: InvalidCode::MatchConflict,
        field: Some("email".to_owned()),
        detail: "two keys have one match value".to_owned(),
        others: vec![key(4)],
    };
    state.writer().replace_invalid(run.sync, run.run, vec![row.clone(), row.clone()], 9).await.unwrap();
    assert_eq!(reader.invalid(run.sync, 10).await.unwrap(), vec![row.clone(), row]);
    assert_eq!(reader.standing(run.sync).await.unwrap().invalid, 9);

    state.writer().save_identity(5, "4242").await.unwrap();
    assert_eq!(state.identity(5).await.unwrap().as_deref(), Some("4242"));
    state.writer().save_grants("4242", vec![1, 2]).wait().await.unwrap();
    // Where budgets are shared their books say it.
    let kept = state.budget().is_none().then(|| vec![1, 2]);
    assert_eq!(state.grants("4242").await.unwrap(), kept);
    let now = state.clock().now();
    state.writer().log_removals(run.sync, run.run, now, 3).wait().await.unwrap();
    state.writer().log_removals(run.sync, run.run, now, 4).wait().await.unwrap();
    assert_eq!(state.removals_since(run.sync, now).await.unwrap(), 7);
    assert_eq!(state.removals_since(run.sync, now + Duration::from_secs(1)).await.unwrap(), 0);
}

async fn of_two_successors_of_a_refresh_token_the_first_one_stays(home: Home) {
    let (state, _run) = started(&home).await;
    assert!(state.token("a").await.unwrap().is_none());
    assert!(state.save_token("a", 0, &"second".into()).await.unwrap());
    assert!(!state.save_token("a", 0, &"other".into()).await.unwrap());
    assert!(state.save_token("a", 1, &"third".into()).await.unwrap());
    assert!(state.save_token("b", 0, &"another".into()).await.unwrap());
    let (generation, token) = state.token("a").await.unwrap().unwrap();
    assert_eq!((generation, token.expose_secret()), (2, "third"));

    // A writer that has failed loses none: the vendor has voided the old one.
    let unknown = Settle { batch: -1, rows: Vec::new() };
    state.writer().settle(unknown).wait().await.unwrap_err();
    state.writer().flush().await.unwrap_err();
    assert!(state.save_token("a", 2, &"fourth".into()).await.unwrap());
    assert_eq!(state.token("a").await.unwrap().unwrap().0, 3);
}
