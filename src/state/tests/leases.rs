//! Several processes on one state: who runs a sync, and what becomes of those that lost it. On PostgreSQL; an SQLite state
//! lets one process in.

use std::time::Duration;

use serde_json::json;

use super::support::{Home, Run, at, begin, key, member, overlay, put, settle, sync};
use crate::{
    state::{Access, End, OpenOptions, RunClose, RunStatus, State, StateError, lease::Beat},
    telemetry::events,
};

/// Long enough for slow machines, and for tests that let one end.
const LEASE: Duration = Duration::from_secs(2);

async fn with_lease(home: &Home, lease: Duration) -> State {
    State::open(OpenOptions { lease, ..home.options(Access::Runner) }).await.unwrap()
}

async fn sql(home: &Home, text: &str) {
    super::postgres::execute(home.url(), text).await;
}

/// Lets every lease end, as time does.
async fn let_leases_end(home: &Home) {
    sql(home, "update syncline.leases set expires_at = clock_timestamp() where expires_at is not null").await;
}

async fn close(state: &State, run: Run, status: RunStatus) -> Result<(), StateError> {
    let counts = crate::model::Counts::default();
    state.close_run(RunClose { run: run.run, status, counts, summary: json!(null), error: None }).await
}

#[tokio::test]
async fn a_sync_runs_in_one_process_at_a_time() {
    let home = Home::postgres().await;
    let host = home.elsewhere();
    let (one, two) = (home.runner().await, host.runner().await);
    let id = sync(&one, "one").await;
    let run = begin(&one, id).await;
    let refused = two.begin_run(id, "test").await;
    let Err(StateError::LeaseHeld { holder, until }) = refused else { panic!("{refused:?}") };
    assert!(holder.contains('/') && until > one.clock().now(), "{holder} until {until}");
    // Another sync is free.
    let other = sync(&two, "two").await;
    begin(&two, other).await;
    close(&one, run, RunStatus::Ok).await.unwrap();
    let next = begin(&two, id).await;
    assert!(next.epoch > run.epoch);
    assert!(matches!(one.begin_run(id, "test").await, Err(StateError::LeaseHeld { .. })));
}

#[tokio::test]
async fn a_run_that_was_taken_over_writes_nothing_more_and_others_go_on() {
    let home = Home::postgres().await;
    let host = home.elsewhere();
    let (old, new) = (home.runner().await, host.runner().await);
    let id = sync(&old, "one").await;
    let other = sync(&old, "two").await;
    let (lost, kept) = (begin(&old, id).await, begin(&old, other).await);
    let batch = lost.intend(&old, &[key(1), key(2)]).await;
    let_leases_end(&home).await;
    assert_eq!(new.abandoned_syncs().await.unwrap().len(), 2);

    let taken = begin(&new, id).await;
    assert!(taken.epoch > lost.epoch);
    let marks = overlay(&new, id).await.unwrap();
    assert_eq!(marks.iter().map(|held| held.dirty.len()).collect::<Vec<_>>(), vec![1, 1], "open intents are dirty now");
    // Both runs of the old process in one group of the writer.
    let settled = settle(&old, batch, vec![(vec![], put(1)), (vec![], put(2))]);
    let going_on = old.writer().intend(kept.intent(vec![member(key(9))]));
    assert!(matches!(settled.wait().await, Err(StateError::Fenced)));
    going_on.await.unwrap();
    assert!(matches!(old.lease_left(id, lost.epoch), Err(StateError::Fenced)));
    assert!(old.lease_left(other, kept.epoch).is_ok());
    assert!(matches!(close(&old, lost, RunStatus::Ok).await, Err(StateError::Fenced)));
    close(&old, kept, RunStatus::Ok).await.unwrap();
    let row = new.run(lost.run).await.unwrap().unwrap();
    assert_eq!(row.status, RunStatus::Interrupted, "as the new holder has closed it");
    assert_eq!(overlay(&new, id).await.unwrap().iter().filter(|held| held.entry.is_some()).count(), 0);

    // Marking dirty needs no lease.
    let mark = crate::state::MarkDirty {
        key: key(7),
        operation: crate::model::Operation::Upsert,
        fingerprint: None,
        ambiguous_at: None,
        record_id: None,
        sealed_match: None,
    };
    old.writer().mark_dirty(id, vec![mark]).await.unwrap();
    assert_eq!(new.held(id, &key(7)).await.unwrap().dirty.len(), 1);
}

#[tokio::test]
async fn a_lease_is_renewed_and_a_process_cut_off_stops_by_its_own_clock() {
    let home = Home::postgres().await;
    let state = with_lease(&home, LEASE).await;
    let id = sync(&state, "one").await;
    let run = begin(&state, id).await;
    tokio::time::sleep(LEASE * 2).await;
    assert!(state.lease_left(id, run.epoch).is_ok(), "it was renewed");
    let host = home.elsewhere();
    let elsewhere = with_lease(&host, LEASE).await;
    assert!(matches!(elsewhere.begin_run(id, "test").await, Err(StateError::LeaseHeld { .. })));
    // Nobody may connect any more, and who is connected is thrown out.
    let cut = "alter database DB allow_connections false;
               select pg_terminate_backend(pid) from pg_stat_activity where datname = 'DB';";
    let (lines, _guard) = crate::telemetry::testing::collect();
    super::postgres::maintain(home.url(), cut).await;
    tokio::time::sleep(LEASE).await;
    assert!(matches!(state.lease_left(id, run.epoch), Err(StateError::LeaseExpired)));
    assert_eq!(lines.count(events::STATE_UNREACHABLE), 2, "each process says so once, however often it tries");
    super::postgres::maintain(home.url(), "alter database DB allow_connections true").await;
    tokio::time::sleep(LEASE).await;
    assert!(state.lease_left(id, run.epoch).is_ok(), "nobody took it, and it was renewed again");
}

#[tokio::test]
async fn a_process_that_vanishes_renews_nothing() {
    let home = Home::postgres().await;
    let host = home.elsewhere();
    let (one, two) = (with_lease(&home, LEASE).await, host.runner().await);
    let id = sync(&one, "one").await;
    begin(&one, id).await;
    drop(one);
    assert!(matches!(two.begin_run(id, "test").await, Err(StateError::LeaseHeld { .. })), "it did not give it back");
    tokio::time::sleep(LEASE).await;
    begin(&two, id).await;
}

#[tokio::test]
async fn a_renewal_that_arrives_after_its_run_leaves_the_lease_free() {
    let home = Home::postgres().await;
    let host = home.elsewhere();
    let (one, two) = (home.runner().await, host.runner().await);
    let id = sync(&one, "one").await;
    let run = begin(&one, id).await;
    let refused = two.begin_run(id, "test").await;
    let Err(StateError::LeaseHeld { holder, .. }) = refused else { panic!("{refused:?}") };
    let beat = Beat { holder, command: "run".to_owned(), ttl: LEASE, leases: vec![(id, run.epoch)] };
    assert_eq!(one.store().beat(&beat).await.unwrap(), vec![id]);
    close(&one, run, RunStatus::Ok).await.unwrap();
    assert!(one.store().beat(&beat).await.unwrap().is_empty());
    begin(&two, id).await;
}

#[tokio::test]
async fn a_scheduled_run_is_not_repeated_unless_the_last_one_did_not_end() {
    let home = Home::postgres().await;
    let host = home.elsewhere();
    let (one, two) = (home.runner().await, host.runner().await);
    let id = sync(&one, "one").await;
    let due = Some(one.clock().now() - Duration::from_secs(1));
    let run = begin(&one, id).await;
    close(&one, run, RunStatus::Ok).await.unwrap();
    let again = two.begin_run_unless(id, "test", due).await;
    assert!(matches!(again, Err(StateError::RanMeanwhile { run: ran, .. }) if ran == run.run), "{again:?}");
    // Not begun: the lease is free. Who ran it itself is not held by that.
    let run = one.begin_run_unless(id, "test", due).await.unwrap();
    let_leases_end(&home).await;
    let taken = two.begin_run_unless(id, "test", due).await.unwrap();
    assert_eq!(taken.recovered.interrupted_runs, 1);
    assert!(taken.run > run.run);
}

#[tokio::test]
async fn a_request_is_claimed_by_one_and_left_to_others_when_it_dies() {
    let home = Home::postgres().await;
    let host = home.elsewhere();
    let (one, two) = (home.runner().await, host.runner().await);
    let reader = home.open(Access::Reader).await.unwrap();
    assert!(!reader.has_daemon().await.unwrap());
    one.announce("run").await.unwrap();
    assert!(reader.has_daemon().await.unwrap());
    let id = reader.post_request("approve", None, json!({ "run": 1 })).await.unwrap();
    let claimed = one.claim_requests().await.unwrap();
    assert_eq!(claimed.iter().map(|request| request.id).collect::<Vec<_>>(), vec![id]);
    assert!(two.claim_requests().await.unwrap().is_empty());
    assert_eq!(one.claim_requests().await.unwrap().len(), 1, "it stays claimed");
    one.release_request(id).await.unwrap();
    assert_eq!(two.claim_requests().await.unwrap().len(), 1);
    two.close().await.unwrap();
    assert_eq!(one.claim_requests().await.unwrap().len(), 1, "who leaves gives back");
    one.finish_request(id, json!("done")).await.unwrap();
    assert!(one.claim_requests().await.unwrap().is_empty());

    // A run of a sync that another process runs is left to that one.
    let third = home.elsewhere();
    let (sync_id, three) = (sync(&one, "s").await, third.runner().await);
    begin(&one, sync_id).await;
    reader.post_request("sync", None, json!({ "sync": "s" })).await.unwrap();
    assert!(three.claim_requests().await.unwrap().is_empty());
    assert_eq!(one.claim_requests().await.unwrap().len(), 1);
    one.close().await.unwrap();
    assert!(!reader.has_daemon().await.unwrap());
    assert_eq!(three.abandoned_syncs().await.unwrap(), vec![sync_id], "its run did not close");
    assert_eq!(three.claim_requests().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_another_process_compacted_is_read_anew() {
    use crate::state::{OwnerSpace, compact};
    let home = Home::postgres().await;
    let host = home.elsewhere();
    let (one, two) = (home.runner().await, host.runner().await);
    let id = sync(&one, "one").await;
    let end = |present| End::Put {
        entry: super::support::entry(1),
        owners: vec![super::support::own(OwnerSpace::Match, 7, present)],
        quiet_until: None,
    };
    let run = begin(&one, id).await;
    run.end(&one, key(1), vec![], end(true)).await;
    assert_eq!(one.owners_of(id, OwnerSpace::Match, &[7]).await.unwrap(), vec![vec![key(1)]]);
    close(&one, run, RunStatus::Ok).await.unwrap();
    let run = begin(&two, id).await;
    run.end(&two, key(1), vec![], end(false)).await;
    compact::compact(two.store(), id).await.unwrap();
    close(&two, run, RunStatus::Ok).await.unwrap();
    begin(&one, id).await;
    assert!(one.owners_of(id, OwnerSpace::Match, &[7]).await.unwrap()[0].is_empty());
}

#[tokio::test]
async fn a_run_that_does_not_begin_gives_its_lease_back_and_one_that_ends_in_a_panic_lets_it_end() {
    let home = Home::postgres().await;
    let host = home.elsewhere();
    let (one, two) = (with_lease(&home, LEASE).await, with_lease(&host, LEASE).await);
    let id = sync(&one, "one").await;
    begin(&one, id).await.intend(&one, &[key(1)]).await;
    let_leases_end(&home).await;
    sql(&home, "update syncline.intents set data = substr(data, 1, length(data) - 1)").await;
    for _ in 0..2 {
        assert!(matches!(two.begin_run(id, "test").await, Err(StateError::Damaged { .. })));
        assert!(matches!(one.begin_run(id, "test").await, Err(StateError::Damaged { .. })), "nobody holds it");
    }
    sql(&home, "delete from syncline.intents").await;
    let run = begin(&one, id).await;
    drop(one.guard_lease(id, run.epoch));
    assert!(matches!(one.lease_left(id, run.epoch), Err(StateError::Fenced)));
    tokio::time::sleep(LEASE * 2).await;
    assert_eq!(two.abandoned_syncs().await.unwrap(), vec![id], "it was not renewed");
}

#[tokio::test]
async fn a_run_that_failed_elsewhere_keeps_nobody_from_trying() {
    let home = Home::postgres().await;
    let host = home.elsewhere();
    let (broken, healthy) = (home.runner().await, host.runner().await);
    let id = sync(&broken, "one").await;
    let due = Some(broken.clock().now() - Duration::from_secs(1));
    for status in [RunStatus::Failed, RunStatus::Refused] {
        let run = begin(&broken, id).await;
        close(&broken, run, status).await.unwrap();
        healthy.check_turn(id, due).await.unwrap();
    }
    let run = begin(&broken, id).await;
    close(&broken, run, RunStatus::Deferred).await.unwrap();
    assert!(matches!(healthy.check_turn(id, due).await, Err(StateError::RanMeanwhile { .. })));
}

#[tokio::test]
async fn a_sync_is_paused_whoever_has_its_lease() {
    let home = Home::postgres().await;
    let host = home.elsewhere();
    let (old, new) = (home.runner().await, host.runner().await);
    let id = sync(&old, "one").await;
    let lost = begin(&old, id).await;
    let_leases_end(&home).await;
    begin(&new, id).await;
    old.set_paused(id, true).await.unwrap();
    assert!(new.sync("one").await.unwrap().unwrap().paused);
    assert!(matches!(close(&old, lost, RunStatus::Ok).await, Err(StateError::Fenced)));
    let update = crate::state::SyncUpdate { paused: Some(false), ..Default::default() };
    old.update_sync(id, update).await.unwrap();
}

#[tokio::test]
async fn who_was_taken_over_confesses_what_it_sent_late() {
    let home = Home::postgres().await;
    let host = home.elsewhere();
    let (old, new) = (home.runner().await, host.runner().await);
    let id = sync(&old, "one").await;
    let lost = begin(&old, id).await;
    let batch = lost.intend(&old, &[key(1), key(2), key(3)]).await;
    let_leases_end(&home).await;
    let taken = begin(&new, id).await;
    let loaded = async |number| {
        let held = new.held(id, &key(number)).await.unwrap();
        held.dirty.iter().map(|mark| mark.intent).collect::<Vec<_>>()
    };
    let marks = [loaded(1).await, loaded(2).await, loaded(3).await];
    assert!(marks.iter().all(|marks| marks.len() == 1), "the open intents: {marks:?}");
    let [one, two, three] = marks;
    taken.end(&new, key(1), one, put(2)).await;
    // What left late has overwritten the first key, perhaps the second; the third was never sent.
    let ends = vec![(vec![], put(1)), (vec![], End::Undelivered { ambiguous_at: Some(at(5)) }), (vec![], End::Unsent)];
    assert!(matches!(settle(&old, batch, ends).wait().await, Err(StateError::Fenced)));
    taken.end(&new, key(2), two, put(2)).await;
    taken.end(&new, key(3), three, put(2)).await;
    assert_eq!((loaded(1).await.len(), loaded(2).await.len(), loaded(3).await.len()), (1, 1, 0));
    let held = new.held(id, &key(2)).await.unwrap();
    assert_eq!((held.dirty[0].ambiguous_at, held.dirty[0].batch_key), (Some(at(5)), None));
    assert_eq!(held.entry.map(|entry| entry.fingerprint), Some(super::support::entry(2).fingerprint));
}

#[tokio::test]
async fn a_run_that_was_interrupted_is_handed_over_at_once() {
    let home = Home::postgres().await;
    let host = home.elsewhere();
    let (old, new) = (home.runner().await, host.runner().await);
    let id = sync(&old, "one").await;
    for (status, left) in [(RunStatus::Ok, vec![]), (RunStatus::Interrupted, vec![id])] {
        let run = begin(&old, id).await;
        close(&old, run, status).await.unwrap();
        assert_eq!(new.abandoned_syncs().await.unwrap(), left, "{status:?}");
    }
    begin(&new, id).await;
    assert!(old.abandoned_syncs().await.unwrap().is_empty());
}
