//! Damage is an error, never an empty state.

use sqlx::{Connection as _, SqliteConnection};

use super::support::{Home, begin, entry, key, overlay, own, put, rejected, settle, sync};
use crate::{
    model::{ChangeKind, InvalidCode, InvalidRow, SyncId},
    state::{Access, End, GuardedSet, OwnerSpace, State, StateError, compact, make_key_file, open::beside},
};

/// A state with something in every table that has blobs.
async fn filled(home: &Home) -> SyncId {
    let state = home.runner().await;
    let id = sync(&state, "one").await;
    let run = begin(&state, id).await;
    let keys: Vec<_> = (0..300).map(key).collect();
    let batch = run.intend(&state, &keys).await;
    let end = |hash| End::Put {
        entry: entry(1),
        owners: vec![own(OwnerSpace::RecordId, hash, true)],
        quiet_until: Some(state.clock().now() + std::time::Duration::from_secs(3_600)),
    };
    settle(&state, batch, (0..300).map(|hash| (vec![], end(hash))).collect()).wait().await.unwrap();
    compact::compact(state.store(), id).await.unwrap();
    run.end(&state, key(1_000), vec![], put(1)).await;
    run.end(&state, key(1_001), vec![], End::Undelivered { ambiguous_at: None }).await;
    let mark = rejected(Box::from(&b"sealed"[..]));
    run.end(&state, key(1_002), vec![], End::Rejected { mark, ambiguous_at: None }).await;
    let row = InvalidRow { key: None, code: InvalidCode::NullKey, field: None, detail: "null".into(), others: vec![] };
    state.writer().replace_invalid(id, run.run, vec![row], 1).await.unwrap();
    state
        .writer()
        .save_guarded(run.run, id, GuardedSet::default(), vec![(key(1), ChangeKind::Added, None)])
        .await
        .unwrap();
    state.approve(run.run).await.unwrap();
    run.intend(&state, &[key(2)]).await;
    state.close().await.unwrap();
    id
}

/// Reads all there is, as a run and the commands would.
async fn read_all(state: &State, id: SyncId) -> Result<(), StateError> {
    overlay(state, id).await?;
    let mut owners = state.owners(id, OwnerSpace::RecordId);
    while owners.next().await?.is_some() {}
    state.owners_of(id, OwnerSpace::RecordId, &[5]).await?;
    state.invalid(id, 10).await?;
    state.standing(id).await?;
    if let Some(mut approval) = state.approved(id).await? {
        while approval.scan.next().await?.is_some() {}
    }
    state.begin_run(id, "test").await.map(|_| ())
}

async fn with_sql(home: &Home, sql: &'static str) {
    let mut connection = SqliteConnection::connect(home.path().to_str().unwrap()).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_sound_state_reads_through() {
    let home = Home::new();
    let id = filled(&home).await;
    read_all(&home.runner().await, id).await.unwrap();
}

#[tokio::test]
async fn a_changed_blob_of_any_table_is_noticed() {
    let tables = [
        "update journal set data = cast(substr(data, 1, length(data) - 1) || x'5a' as blob)",
        "update pages set data = cast(substr(data, 1, 40) || x'5a5a' || substr(data, 43) as blob) where space = 0",
        "update pages set data = cast(substr(data, 1, 40) || x'5a5a' || substr(data, 43) as blob) where space > 0",
        "update pages set data = x''",
        "update intents set data = cast(substr(data, 1, length(data) - 1) as blob)",
        "update intents set members = members + 1",
        "update dirty set data = cast(x'01' || substr(data, 3) as blob)",
        "update rejected set data = cast(substr(data, 1, length(data) - 1) || x'5a' as blob)",
        "update quiet set data = cast(x'02' || substr(data, 2) as blob)",
        "update invalid set data = cast(substr(data, 1, 12) as blob)",
        "update guarded set data = cast(substr(data, 1, 12) || x'ff' || substr(data, 14) as blob)",
        // With another id every row would count as changed, with another mark of a resync as dirty.
        "update syncs set uuid = x'00112233445566778899aabbccddeeff'",
        "update syncs set resync_through = 1",
        "update meta set value = x'31' where name = 'syncs'",
        // Rows in each other's place, and rows that went missing.
        "update dirty set position = position + 1",
        "delete from pages where space = 0",
        "delete from extents",
        "pragma foreign_keys = off; delete from guarded_sets",
    ];
    for sql in tables {
        let home = Home::new();
        let id = filled(&home).await;
        with_sql(&home, sql).await;
        let result = match home.open(Access::Runner).await {
            Ok(state) => read_all(&state, id).await,
            Err(error) => Err(error),
        };
        assert!(matches!(result, Err(StateError::Damaged { .. })), "`{sql}`: {result:?}");
    }
}

#[tokio::test]
async fn a_truncated_or_overwritten_file_is_refused() {
    let home = Home::new();
    filled(&home).await;
    let sound = std::fs::read(home.path()).unwrap();
    let mut cases = vec![Vec::new(), sound[..100].to_vec(), sound[..sound.len() / 2].to_vec(), vec![b'x'; 8_192]];
    cases.push(sound[..sound.len() - 4_096].to_vec());
    for bytes in cases {
        std::fs::write(home.path(), &bytes).unwrap();
        let result = home.open(Access::Runner).await;
        assert!(matches!(result, Err(StateError::Damaged { .. })), "{} bytes: {result:?}", bytes.len());
    }
}

#[tokio::test]
async fn random_byte_flips_never_empty_the_snapshot() {
    let home = Home::new();
    let id = filled(&home).await;
    let sound = std::fs::read(home.path()).unwrap();
    let before = { overlay(&home.runner().await, id).await.unwrap() };
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..60 {
        let mut bytes = sound.clone();
        let at = random.usize(..bytes.len());
        bytes[at] ^= 1 << random.u8(..8);
        std::fs::write(home.path(), &bytes).unwrap();
        for side in ["-wal", "-shm"] {
            std::fs::remove_file(crate::state::open::beside(&home.path(), side)).unwrap_or(());
        }
        let Ok(state) = home.open(Access::Runner).await else { continue };
        if let Ok(all) = overlay(&state, id).await {
            let entries = |all: &[crate::model::Held]| all.iter().filter(|held| held.entry.is_some()).count();
            assert_eq!(entries(&all), entries(&before), "flip at byte {at}");
        }
        state.close().await.unwrap_or(());
    }
}

#[tokio::test]
async fn a_storage_error_stops_the_writer() {
    let home = Home::new();
    let state = home.runner().await;
    let id = sync(&state, "one").await;
    let run = begin(&state, id).await;
    with_sql(&home, "drop table accounts").await;
    let failed = state.writer().save_grants("a", vec![]).wait().await.unwrap_err();
    assert!(matches!(failed, StateError::Store { .. }));
    assert!(failed.to_string().contains(&home.path().display().to_string()), "{failed} does not name the file");
    let after = state.writer().intend(run.intent(vec![super::support::member(key(1))])).await;
    assert!(matches!(after, Err(StateError::Store { .. })), "nothing may be sent after it");
    assert!(matches!(state.close().await, Err(StateError::Store { .. })));
    assert!(home.runner().await.store().intents(id).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_compaction_that_was_cut_off_is_repeated_harmlessly() {
    let home = Home::new();
    let state = home.runner().await;
    let id = sync(&state, "one").await;
    let run = begin(&state, id).await;
    let remove = || End::Remove { owners: vec![own(OwnerSpace::Match, 3, false)], quiet_until: None };
    let add =
        |value| End::Put { entry: entry(value), owners: vec![own(OwnerSpace::Match, 3, true)], quiet_until: None };
    for (number, end) in [(1, add(1)), (2, add(1)), (2, remove()), (3, put(3)), (1, add(2))] {
        run.end(&state, key(number), vec![], end).await;
    }
    let before = overlay(&state, id).await.unwrap();
    with_sql(&home, "create table kept as select * from journal").await;
    compact::compact(state.store(), id).await.unwrap();
    // The pages are written, the journal is back: as after a crash before its deletion.
    with_sql(&home, "insert into journal select * from kept").await;
    assert_eq!(overlay(&state, id).await.unwrap(), before);
    run.end(&state, key(3), vec![], put(4)).await;
    let newest = overlay(&state, id).await.unwrap();
    compact::compact(state.store(), id).await.unwrap();
    assert_eq!(overlay(&state, id).await.unwrap(), newest);
    assert_eq!(state.owners_of(id, OwnerSpace::Match, &[3]).await.unwrap(), vec![vec![key(1)]]);
    let standing = state.standing(id).await.unwrap();
    assert_eq!((standing.entries, state.store().journal_size(id).await.unwrap()), (2, (0, 0)));
}

#[tokio::test]
async fn a_scan_beside_a_compaction_says_so() {
    let home = Home::new();
    let state = home.runner().await;
    let id = sync(&state, "one").await;
    let run = begin(&state, id).await;
    let all: Vec<_> = (0..20_000).map(key).collect();
    let batch = run.intend(&state, &all).await;
    settle(&state, batch, all.iter().map(|_| (vec![], put(1))).collect()).wait().await.unwrap();
    // The writer may compact by itself after a settle; it has begun before a flush ends.
    state.writer().flush().await.unwrap();
    drop(state.writer().compacting(id).write_owned().await);
    compact::compact(state.store(), id).await.unwrap();
    let mut scan = state.overlay(id);
    assert_eq!(scan.next().await.unwrap().unwrap().key, key(0));
    let remove = || End::Remove { owners: vec![], quiet_until: None };
    let batch = run.intend(&state, &all).await;
    settle(&state, batch, all.iter().map(|_| (vec![], remove())).collect()).wait().await.unwrap();
    state.writer().flush().await.unwrap();
    // As another process would: the writer leaves a sync alone that is being read here.
    compact::compact(state.store(), id).await.unwrap();
    let ended = loop {
        match scan.next().await {
            Ok(Some(_)) => {}
            ended => break ended,
        }
    };
    assert!(matches!(ended, Err(StateError::Changed)), "{ended:?}");
    assert!(overlay(&state, id).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_scan_where_the_writer_compacts_waits_for_its_end() {
    let home = Home::new();
    let state = home.runner().await;
    let id = sync(&state, "one").await;
    let run = begin(&state, id).await;
    let all: Vec<_> = (0..12_000).map(key).collect();
    let batch = run.intend(&state, &all).await;
    let end = |hash| End::Put {
        entry: entry(1),
        owners: vec![own(OwnerSpace::Match, hash, true), own(OwnerSpace::RecordId, hash, true)],
        quiet_until: None,
    };
    settle(&state, batch, (0..12_000).map(|hash| (vec![], end(hash))).collect()).wait().await.unwrap();
    // More than the journal's bound: the writer compacts by now.
    state.writer().flush().await.unwrap();
    assert!(state.writer().compacting(id).try_read().is_err(), "nothing is compacted");
    assert_eq!(overlay(&state, id).await.unwrap().len(), 12_000);
    let mut owners = state.owners(id, OwnerSpace::RecordId);
    let mut count = 0;
    while owners.next().await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!((count, state.store().journal_size(id).await.unwrap()), (12_000, (0, 0)));
}

#[tokio::test]
async fn a_first_start_that_was_cut_short_is_begun_again() {
    let home = Home::new();
    make_key_file(&beside(&home.path(), ".key")).unwrap();
    std::fs::write(home.path(), "").unwrap();
    // The migrator makes its own table before the first migration.
    let sql = "create table _sqlx_migrations (version bigint primary key, description text not null,
                   installed_on timestamp not null default current_timestamp, success boolean not null,
                   checksum blob not null, execution_time bigint not null)";
    with_sql(&home, sql).await;
    assert!(matches!(home.open(Access::Reader).await, Err(StateError::Missing { .. })));
    home.runner().await;
}

#[tokio::test]
async fn foreign_and_newer_files_are_refused() {
    let home = Home::new();
    std::fs::write(home.path(), b"").unwrap();
    with_sql(&home, "create table t (x)").await;
    // Another application's file also has no key of ours.
    std::fs::write(crate::state::open::beside(&home.path(), ".key"), "k".repeat(64)).unwrap();
    assert!(matches!(home.open(Access::Runner).await, Err(StateError::Foreign { .. })));
    let home = Home::new();
    filled(&home).await;
    with_sql(
        &home,
        "update _sqlx_migrations set version = 999 where version = (select max(version) from _sqlx_migrations)",
    )
    .await;
    assert!(matches!(home.open(Access::Runner).await, Err(StateError::Newer { found: 999, .. })));
    assert!(matches!(home.open(Access::Reader).await, Err(StateError::Newer { found: 999, .. })));
}
