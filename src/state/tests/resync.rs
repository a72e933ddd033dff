//! Resyncs, suspicion, and upgrades with their backups.

use std::{os::unix::fs::PermissionsExt as _, path::PathBuf};

use super::support::{Home, begin, key, on_every_store, put, sync};
use crate::state::{Access, State, StateError, open::beside};

/// A state as version 0.1.0 before any upgrade made it: 4,199 keys and a tombstone of one sync.
const OLD: &[u8] = include_bytes!("../../../tests/fixtures/state-0001.db");
const OLD_KEY: &str = include_str!("../../../tests/fixtures/state-0001.db.key");

fn old_home() -> Home {
    let home = Home::new();
    std::fs::write(home.path(), OLD).unwrap();
    std::fs::write(beside(&home.path(), ".key"), OLD_KEY).unwrap();
    home
}

fn backups(home: &Home) -> Vec<PathBuf> {
    let files = std::fs::read_dir(home.path().parent().unwrap()).unwrap().map(|file| file.unwrap().path());
    files.filter(|file| file.to_string_lossy().contains(".backup-")).collect()
}

#[tokio::test]
async fn an_upgrade_makes_a_backup_first_and_changes_nothing_else() {
    let home = old_home();
    assert!(matches!(home.open(Access::Reader).await, Err(StateError::Older { found: 1, .. })));
    assert!(backups(&home).is_empty());
    let state = home.runner().await;
    let record = state.sync("people-to-crm").await.unwrap().unwrap();
    let standing = state.standing(record.id).await.unwrap();
    assert_eq!((standing.entries, standing.tombstones, standing.dirty), (4_199, 1, 0));
    assert_eq!((record.resync_through, record.resync_open, record.suspect), (None, false, false));
    state.close().await.unwrap();

    let made = backups(&home);
    let [backup] = made.as_slice() else { panic!("one backup, got {made:?}") };
    assert!(backup.to_string_lossy().contains("state.db.backup-v1-2"), "{backup:?}");
    assert_eq!(std::fs::metadata(backup).unwrap().permissions().mode() & 0o777, 0o600);
    home.runner().await.close().await.unwrap();
    assert_eq!(backups(&home).len(), 1, "only an upgrade makes one");

    // The backup is a state of the old version, key and all.
    let copy = Home::new();
    std::fs::copy(backup, copy.path()).unwrap();
    std::fs::write(beside(&copy.path(), ".key"), OLD_KEY).unwrap();
    let state = copy.runner().await;
    assert_eq!(state.standing(record.id).await.unwrap().entries, 4_199);
}

#[tokio::test]
async fn an_upgrade_that_was_cut_short_is_made_again_within_the_same_second() {
    let home = old_home();
    home.runner().await.close().await.unwrap();
    // As if it had ended right after its backup. The clock stands still here.
    for suffix in ["-wal", "-shm", ".mark"] {
        std::fs::remove_file(beside(&home.path(), suffix)).unwrap_or(());
    }
    std::fs::write(home.path(), OLD).unwrap();
    home.runner().await.close().await.unwrap();
    assert_eq!(backups(&home).len(), 2);
}

#[tokio::test]
async fn nothing_half_written_is_left_beside_the_state() {
    let home = old_home();
    home.runner().await.close().await.unwrap();
    let folder = std::fs::read_dir(home.path().parent().unwrap()).unwrap();
    let mut names: Vec<_> = folder.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| !name.contains(".backup-"));
    names.sort();
    assert_eq!(names, ["state.db", "state.db.key", "state.db.lock", "state.db.mark"]);
}

#[tokio::test]
async fn a_new_state_needs_no_backup() {
    let home = Home::new();
    home.runner().await.close().await.unwrap();
    assert!(backups(&home).is_empty());
}

async fn flags(state: &State) -> (bool, bool) {
    let record = state.sync("one").await.unwrap().unwrap();
    (record.resync_open, record.suspect)
}

on_every_store!(a_resync_is_ended_only_by_a_run_that_knew_of_it);

async fn a_resync_is_ended_only_by_a_run_that_knew_of_it(home: Home) {
    let state = home.runner().await;
    let id = sync(&state, "one").await;
    begin(&state, id).await.end(&state, key(1), vec![], put(1)).await;
    state.resync(id, None).await.unwrap();
    assert_eq!(flags(&state).await, (true, false));
    assert_eq!(state.standing(id).await.unwrap().dirty, 1);
    let first = state.sync("one").await.unwrap().unwrap().resync_through.unwrap();
    begin(&state, id).await;
    // Asked for anew while that run is under way.
    state.resync(id, None).await.unwrap();
    state.end_resync(id, first).await.unwrap();
    assert_eq!(flags(&state).await, (true, false));
    let second = state.sync("one").await.unwrap().unwrap().resync_through.unwrap();
    assert!(second > first, "what that run settles goes again");
    assert!(!state.end_resync(id, second).await.unwrap(), "it was not suspect");
    assert_eq!(flags(&state).await, (false, false));
}

on_every_store!(trust_keeps_what_an_operator_asked_for);

async fn trust_keeps_what_an_operator_asked_for(home: Home) {
    let state = home.runner().await;
    let id = sync(&state, "one").await;
    begin(&state, id).await.end(&state, key(1), vec![], put(1)).await;
    let through = async || state.sync("one").await.unwrap().unwrap().resync_through;
    state.resync(id, None).await.unwrap();
    let asked = through().await;
    begin(&state, id).await;
    state.suspect_all().await.unwrap();
    assert!(through().await > asked);
    state.trust(id).await.unwrap();
    assert_eq!((flags(&state).await, through().await), ((true, false), asked));
    state.end_resync(id, asked.unwrap()).await.unwrap();
    state.suspect_all().await.unwrap();
    state.trust(id).await.unwrap();
    assert_eq!((flags(&state).await, through().await), ((false, false), None), "that one was done");
}

#[tokio::test]
async fn a_restored_state_is_suspect_until_each_sync_has_been_sent_again() {
    let home = Home::new();
    let state = home.runner().await;
    let (one, two) = (sync(&state, "one").await, sync(&state, "two").await);
    state.close().await.unwrap();
    let older = std::fs::read(home.path()).unwrap();
    let state = home.runner().await;
    begin(&state, one).await.end(&state, key(1), vec![], put(1)).await;
    state.close().await.unwrap();
    let newer = std::fs::read(home.path()).unwrap();

    std::fs::write(home.path(), older).unwrap();
    assert!(home.open(Access::Reader).await.unwrap().is_suspect().await.unwrap(), "a reader sees it before any runner");
    let state = home.runner().await;
    assert_eq!(flags(&state).await, (true, true));
    let through = state.sync("one").await.unwrap().unwrap().resync_through.unwrap();
    assert!(state.end_resync(one, through).await.unwrap(), "that ends the suspicion");
    assert!(state.is_suspect().await.unwrap(), "of the other sync nothing is known yet");
    state.close().await.unwrap();
    let state = home.runner().await;
    assert_eq!(flags(&state).await, (false, false), "it is not forgotten");
    state.trust(two).await.unwrap();
    assert!(!state.is_suspect().await.unwrap());
    state.close().await.unwrap();
    assert!(!home.runner().await.is_suspect().await.unwrap());

    // The store that was replaced does not know what was sent meanwhile, though it has more commits.
    std::fs::write(home.path(), newer).unwrap();
    assert!(home.runner().await.is_suspect().await.unwrap());
}
