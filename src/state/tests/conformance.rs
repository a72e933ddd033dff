//! What every store must do, whatever it is made of: the rules of dirty keys, intents and runs.

use std::{sync::Arc, time::Duration};

use super::support::{
    Home, at, begin, entry, key, member, on_every_store, overlay, own, put, rejected, settle, started,
};
use crate::{
    model::{IntentId, Key, Operation},
    state::{End, LocalSettle, MarkDirty, MatchValue, OwnerSpace, RunStatus, State, StateError, compact},
};

on_every_store!(
    a_delivered_row_is_an_entry_and_nothing_else,
    a_settle_clears_exactly_the_loaded_marks,
    undelivered_rows_stay_dirty_under_their_intents_id,
    a_row_never_attempted_keeps_its_loaded_marks_and_gets_no_new_one,
    open_intents_become_dirty_marks_with_the_time_of_the_attempt,
    marks_name_the_match_values_of_their_batch,
    batch_ids_are_never_given_twice,
    quiet_keys_wait_until_the_latest_time_and_are_pruned,
    a_batch_settles_once_and_whole_or_the_writer_stops,
    an_older_epoch_cannot_settle_but_can_mark_dirty,
    local_settles_put_tombstones_and_clear_marks,
    concurrent_intents_share_transactions,
    marks_of_a_row_that_keeps_failing_are_joined,
    owners_are_seen_before_they_are_durable_and_after,
    an_owner_that_a_compaction_took_away_between_two_lookups_is_gone,
);

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

async fn marks_name_the_match_values_of_their_batch(home: Home) {
    let (state, run) = started(&home).await;
    // The third one as older builds have stored it.
    let third = MatchValue::Sealed(state.seal("match", b"c@x").unwrap());
    let values = [Some(MatchValue::Clear("a@x".into())), None, Some(third), Some(MatchValue::Clear("d@x".into()))];
    let members = |from: i64| {
        let member = |(id, value): (i64, &Option<MatchValue>)| crate::state::IntentMember {
            match_value: value.clone(),
            ..member(key(id))
        };
        (from..).zip(&values).map(member).collect::<Vec<_>>()
    };
    state.writer().intend(run.intent(members(0))).await.unwrap();
    let batch = state.writer().intend(run.intent(members(10))).await.unwrap();
    let undelivered = || (vec![], End::Undelivered { ambiguous_at: None });
    settle(&state, batch, (0..4).map(|_| undelivered()).collect()).wait().await.unwrap();
    begin(&state, run.sync).await;
    let named = async |id| {
        let held = state.held(run.sync, &key(id)).await.unwrap();
        let sealed = held.dirty[0].sealed_match.clone();
        sealed.map(|sealed| String::from_utf8(state.unseal("match", &sealed).unwrap()).unwrap())
    };
    for from in [0, 10] {
        let found = [named(from).await, named(from + 1).await, named(from + 2).await, named(from + 3).await];
        assert_eq!(found.each_ref().map(Option::as_deref), [Some("a@x"), None, Some("c@x"), Some("d@x")], "{from}");
    }
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

async fn an_owner_that_a_compaction_took_away_between_two_lookups_is_gone(home: Home) {
    let (state, run) = started(&home).await;
    let end =
        |present| End::Put { entry: entry(1), owners: vec![own(OwnerSpace::RecordId, 7, present)], quiet_until: None };
    let owners = async || state.owners_of(run.sync, OwnerSpace::RecordId, &[7]).await.unwrap().remove(0);
    run.end(&state, key(1), vec![], end(true)).await;
    assert_eq!(owners().await, vec![key(1)]);
    run.end(&state, key(1), vec![], end(false)).await;
    compact::compact(state.store(), run.sync).await.unwrap();
    assert!(owners().await.is_empty());
    run.end(&state, key(1), vec![], end(true)).await;
    assert_eq!(owners().await, vec![key(1)]);
}
