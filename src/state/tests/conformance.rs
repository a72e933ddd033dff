//! What every store must do, whatever it is made of: the rules of dirty keys, intents and runs.

use std::{sync::Arc, time::Duration};

use secrecy::ExposeSecret as _;

use super::support::{
    Home, Run, at, begin, entry, key, member, on_every_store, overlay, own, put, rejected, settle, sync,
};
use crate::{
    model::{ChangeKind, Counts, CursorKind, Fingerprint, IntentId, InvalidCode, InvalidRow, Key, Operation},
    state::{
        Access, CursorRecord, End, GuardedSet, LocalSettle, MappingRecord, MarkDirty, NullShare, OwnerSpace, RunClose,
        RunStatus, State, StateError, SyncUpdate,
    },
};

on_every_store!(
    a_delivered_row_is_an_entry_and_nothing_else,
    a_settle_clears_exactly_the_loaded_marks,
    undelivered_rows_stay_dirty_under_their_intents_id,
    a_row_never_attempted_keeps_its_loaded_marks_and_gets_no_new_one,
    open_intents_become_dirty_marks_with_the_time_of_the_attempt,
    batch_ids_are_never_given_twice,
    quiet_keys_wait_until_the_latest_time_and_are_pruned,
    a_batch_settles_once_and_whole_or_the_writer_stops,
    an_older_epoch_cannot_settle_but_can_mark_dirty,
    local_settles_put_tombstones_and_clear_marks,
    concurrent_intents_share_transactions,
    marks_of_a_row_that_keeps_failing_are_joined,
    owners_are_seen_before_they_are_durable_and_after,
    syncs_runs_and_mappings_are_kept,
    null_shares_are_replaced_as_a_whole,
    guarded_sets_are_approved_for_a_day,
    an_approval_expires,
    requests_invalid_rows_accounts_and_removals_are_kept,
    of_two_successors_of_a_refresh_token_the_first_one_stays,
);

async fn started(home: &Home) -> (State, Run) {
    let state = home.runner().await;
    let id = sync(&state, "one").await;
    let run = begin(&state, id).await;
    (state, run)
}

fn mark(key: Key) -> MarkDirty {
    MarkDirty {
        key,
        operation: Operation::Upsert,
        fingerprint: None,
        ambiguous_at: None,
        record_id: None,
        sealed_match: None,
    }
}

async fn a_delivered_row_is_an_entry_and_nothing_else(home: Home) {
    let (state, run) = started(&home).await;
    run.end(&state, key(1), vec![], put(5)).await;
    let held = state.held(run.sync, &key(1)).await.unwrap();
    assert_eq!(held.entry, Some(entry(5)));
    assert!(held.dirty.is_empty() && held.rejected.is_none() && held.quiet_until.is_none());
    assert_eq!(overlay(&state, run.sync).await.unwrap(), vec![held]);
}

async fn a_settle_clears_exactly_the_loaded_marks(home: Home) {
    let (state, run) = started(&home).await;
    let early = state.writer().mark_dirty(run.sync, vec![mark(key(1))]).await.unwrap();
    let batch = run.intend(&state, &[key(1)]).await;
    let late = state.writer().mark_dirty(run.sync, vec![mark(key(1))]).await.unwrap();
    let loaded = vec![IntentId { batch: early, position: 0 }];
    settle(&state, batch, vec![(loaded, put(5))]).wait().await.unwrap();
    let held = state.held(run.sync, &key(1)).await.unwrap();
    assert_eq!(held.dirty.iter().map(|mark| mark.intent.batch).collect::<Vec<_>>(), vec![late]);
    assert_eq!(held.entry, Some(entry(5)));
}

async fn undelivered_rows_stay_dirty_under_their_intents_id(home: Home) {
    let (state, run) = started(&home).await;
    let keys: Vec<Key> = (0..4).map(key).collect();
    let batch = run.intend(&state, &keys).await;
    let reject = || End::Rejected { mark: rejected(Box::default()), ambiguous_at: None };
    let ends = vec![
        (vec![], End::Undelivered { ambiguous_at: Some(at(5)) }),
        (vec![], End::Unsent),
        (vec![], reject()),
        (vec![], put(1)),
    ];
    settle(&state, batch, ends).wait().await.unwrap();
    let all = overlay(&state, run.sync).await.unwrap();
    let dirty = |at: usize| all[at].dirty.iter().map(|mark| (mark.intent, mark.ambiguous_at)).collect::<Vec<_>>();
    let id = |position| IntentId { batch, position };
    assert_eq!(dirty(0), vec![(id(0), Some(at(5)))]);
    assert_eq!(dirty(1), vec![(id(1), None)]);
    assert_eq!(dirty(2), vec![(id(2), None)]);
    assert_eq!(dirty(3), vec![]);
    assert_eq!(all[0].dirty[0].batch_key.unwrap().idempotency, 42);
    assert_eq!(all[2].rejected.as_ref().unwrap().code, "INVALID_EMAIL");
    assert_eq!(state.rejected(run.sync, None, 10).await.unwrap().len(), 1);

    // Delivered later: the reject and the loaded mark go.
    run.end(&state, key(2), vec![id(2)], put(2)).await;
    let held = state.held(run.sync, &key(2)).await.unwrap();
    assert!(held.rejected.is_none() && held.dirty.is_empty());
}

async fn a_row_never_attempted_keeps_its_loaded_marks_and_gets_no_new_one(home: Home) {
    let (state, run) = started(&home).await;
    let early = state.writer().mark_dirty(run.sync, vec![mark(key(1))]).await.unwrap();
    run.end(&state, key(1), vec![IntentId { batch: early, position: 0 }], End::Unsent).await;
    let held = state.held(run.sync, &key(1)).await.unwrap();
    assert_eq!(held.dirty.iter().map(|mark| mark.intent.batch).collect::<Vec<_>>(), vec![early]);
}

async fn open_intents_become_dirty_marks_with_the_time_of_the_attempt(home: Home) {
    let (state, run) = started(&home).await;
    let unattempted = run.intend(&state, &[key(1)]).await;
    let attempted = run.intend(&state, &[key(2), key(3)]).await;
    state.writer().note_attempt(attempted, at(77)).wait().await.unwrap();
    state.close().await.unwrap();

    let state = home.runner().await;
    assert!(overlay(&state, run.sync).await.unwrap().is_empty());
    let begun = state.begin_run(run.sync, "test").await.unwrap();
    assert_eq!((begun.recovered.interrupted_runs, begun.recovered.dirty_marks), (1, 3));
    assert!(begun.epoch > run.epoch && begun.run > run.run);
    let all = overlay(&state, run.sync).await.unwrap();
    let marks: Vec<_> = all.iter().map(|held| (held.dirty[0].intent, held.dirty[0].ambiguous_at)).collect();
    let id = |batch, position| IntentId { batch, position };
    assert_eq!(
        marks,
        vec![(id(unattempted, 0), Some(at(1_000))), (id(attempted, 0), Some(at(77))), (id(attempted, 1), Some(at(77))),]
    );
    assert_eq!(state.run(run.run).await.unwrap().unwrap().status, RunStatus::Interrupted);
    assert_eq!(state.run(begun.run).await.unwrap().unwrap().status, RunStatus::Running);
    let again = state.begin_run(run.sync, "test").await.unwrap();
    assert_eq!(again.recovered.dirty_marks, 0);
    assert_eq!(overlay(&state, run.sync).await.unwrap().len(), 3);
}

async fn batch_ids_are_never_given_twice(home: Home) {
    let (state, run) = started(&home).await;
    let first = run.intend(&state, &[key(1)]).await;
    settle(&state, first, vec![(vec![], put(1))]).wait().await.unwrap();
    state.close().await.unwrap();
    let state = home.runner().await;
    let run = begin(&state, run.sync).await;
    assert!(run.intend(&state, &[key(1)]).await > first);
}

async fn quiet_keys_wait_until_the_latest_time_and_are_pruned(home: Home) {
    let (state, run) = started(&home).await;
    let quiet = |until| End::Put { entry: entry(1), owners: vec![], quiet_until: Some(until) };
    let far = state.clock().now() + Duration::from_secs(3600);
    run.end(&state, key(1), vec![], quiet(far)).await;
    run.end(&state, key(1), vec![], quiet(at(10))).await;
    run.end(&state, key(2), vec![], quiet(at(10))).await;
    assert_eq!(state.held(run.sync, &key(1)).await.unwrap().quiet_until, Some(far));
    assert_eq!(state.held(run.sync, &key(2)).await.unwrap().quiet_until, Some(at(10)));
    begin(&state, run.sync).await;
    assert_eq!(state.held(run.sync, &key(1)).await.unwrap().quiet_until, Some(far));
    assert_eq!(state.held(run.sync, &key(2)).await.unwrap().quiet_until, None);
}

async fn a_batch_settles_once_and_whole_or_the_writer_stops(home: Home) {
    for broken in 0..3 {
        let home = home.another().await;
        let (state, run) = started(&home).await;
        let batch = run.intend(&state, &[key(1), key(2)]).await;
        let both = || vec![(vec![], put(1)), (vec![], put(2))];
        let result = match broken {
            0 => settle(&state, batch, vec![(vec![], put(1))]),
            1 => {
                settle(&state, batch, both()).wait().await.unwrap();
                settle(&state, batch, both())
            }
            _ => settle(&state, batch + 1_000, both()),
        };
        assert!(matches!(result.wait().await, Err(StateError::Contract(_))));
        let after = state.writer().intend(run.intent(vec![member(key(9))])).await;
        assert!(matches!(after, Err(StateError::Contract(_))), "the first error is every later call's");
        assert!(state.writer().flush().await.is_err());
    }
}

async fn an_older_epoch_cannot_settle_but_can_mark_dirty(home: Home) {
    let (state, old) = started(&home).await;
    let newer = begin(&state, old.sync).await;
    state.writer().mark_dirty(old.sync, vec![mark(key(1))]).await.unwrap();
    newer.end(&state, key(2), vec![], put(2)).await;
    let refused = state.writer().intend(old.intent(vec![member(key(3))])).await;
    assert!(matches!(refused, Err(StateError::Fenced)));
    // What was lost with the lease ends its run alone.
    let local = || vec![LocalSettle { key: key(4), loaded: vec![], end: put(4) }];
    assert!(state.writer().settle_local(old.sync, old.epoch, local()).wait().await.is_err());
    state.writer().settle_local(old.sync, newer.epoch, local()).wait().await.unwrap();
    assert!(state.lease_left(old.sync, old.epoch).is_err() && state.lease_left(old.sync, newer.epoch).is_ok());
    let keys: Vec<Key> = overlay(&state, old.sync).await.unwrap().into_iter().map(|held| held.key).collect();
    assert_eq!(keys, vec![key(1), key(2), key(4)]);
}

async fn local_settles_put_tombstones_and_clear_marks(home: Home) {
    let (state, run) = started(&home).await;
    let batch = state.writer().mark_dirty(run.sync, vec![mark(key(1))]).await.unwrap();
    let tombstone = crate::model::Entry { tombstone: true, record_id: Some("r1".into()), ..entry(1) };
    let end = End::Put { entry: tombstone.clone(), owners: vec![], quiet_until: None };
    let rows = vec![LocalSettle { key: key(1), loaded: vec![IntentId { batch, position: 0 }], end }];
    state.writer().settle_local(run.sync, run.epoch, rows).wait().await.unwrap();
    run.end(&state, key(2), vec![], put(1)).await;
    let held = state.held(run.sync, &key(1)).await.unwrap();
    assert_eq!((held.entry, held.dirty.len()), (Some(tombstone), 0));
    let standing = state.standing(run.sync).await.unwrap();
    assert_eq!((standing.entries, standing.tombstones, standing.dirty), (1, 1, 0));
    let begun = state.begin_run(run.sync, "test").await.unwrap();
    assert_eq!((begun.entries, begun.tombstones), (1, 1));
}

async fn concurrent_intents_share_transactions(home: Home) {
    let (state, run) = started(&home).await;
    let before = state.writer().commits();
    let state = Arc::new(state);
    let tasks: Vec<_> = (0..200_i64)
        .map(|number| {
            let state = Arc::clone(&state);
            tokio::spawn(async move { run.intend(&state, &[key(number)]).await })
        })
        .collect();
    let mut batches = std::collections::BTreeSet::new();
    for task in tasks {
        batches.insert(task.await.unwrap());
    }
    assert_eq!(batches.len(), 200);
    let commits = state.writer().commits() - before;
    assert!((1..100).contains(&commits), "200 intents took {commits} transactions");
}

async fn marks_of_a_row_that_keeps_failing_are_joined(home: Home) {
    let (state, run) = started(&home).await;
    let mut current = run;
    for second in 1..=8 {
        current.end(&state, key(1), vec![], End::Undelivered { ambiguous_at: Some(at(second)) }).await;
        current = begin(&state, run.sync).await;
    }
    let held = state.held(run.sync, &key(1)).await.unwrap();
    assert!(held.dirty.len() <= 4, "{} marks", held.dirty.len());
    assert_eq!(held.dirty.iter().filter_map(|mark| mark.ambiguous_at).max(), Some(at(8)));
}

async fn owners_are_seen_before_they_are_durable_and_after(home: Home) {
    let (state, run) = started(&home).await;
    let end = |hash, present| End::Put {
        entry: entry(1),
        owners: vec![own(OwnerSpace::RecordId, hash, present)],
        quiet_until: None,
    };
    let batch = run.intend(&state, &[key(1), key(2)]).await;
    let ticket = settle(&state, batch, vec![(vec![], end(7, true)), (vec![], end(7, true))]);
    let owners = async |state: &State| state.owners_of(run.sync, OwnerSpace::RecordId, &[8, 7]).await.unwrap();
    assert_eq!(owners(&state).await, vec![vec![], vec![key(1), key(2)]]);
    ticket.wait().await.unwrap();
    assert_eq!(owners(&state).await, vec![vec![], vec![key(1), key(2)]]);
    run.end(&state, key(1), vec![], end(7, false)).await;
    assert_eq!(owners(&state).await, vec![vec![], vec![key(2)]]);
    assert!(state.owners_of(run.sync, OwnerSpace::Match, &[7]).await.unwrap()[0].is_empty());
    state.close().await.unwrap();
    assert_eq!(owners(&home.runner().await).await, vec![vec![], vec![key(2)]]);
}

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
    assert_eq!(state.grants("4242").await.unwrap(), Some(vec![1, 2]));
    let now = state.clock().now();
    state.writer().log_removals(run.sync, run.run, now, 3).await.unwrap();
    state.writer().log_removals(run.sync, run.run, now, 4).await.unwrap();
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
}
