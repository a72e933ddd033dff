//! Who may open the state, with which key, and what its files look like.

use std::os::unix::fs::PermissionsExt as _;

use secrecy::SecretString;

use super::support::{Home, begin, entry, key, member, put, rejected, sync};
use crate::state::{Access, End, MatchValue, OpenOptions, State, StateError, open::beside};

#[tokio::test]
async fn a_second_runner_is_refused_until_the_first_closes() {
    let home = Home::new();
    let first = home.runner().await;
    assert!(matches!(home.open(Access::Runner).await, Err(StateError::Locked { .. })));
    first.close().await.unwrap();
    home.runner().await;
}

#[tokio::test]
async fn a_reader_works_beside_a_runner_and_cannot_settle() {
    let home = Home::new();
    assert!(matches!(home.open(Access::Reader).await, Err(StateError::Missing { .. })));
    let runner = home.runner().await;
    let id = sync(&runner, "one").await;
    let reader = home.open(Access::Reader).await.unwrap();
    let run = begin(&runner, id).await;
    run.end(&runner, key(1), vec![], put(1)).await;
    assert_eq!(reader.held(id, &key(1)).await.unwrap().entry, Some(entry(1)));
    assert!(matches!(reader.writer().intend(run.intent(vec![member(key(1))])).await, Err(StateError::Stopped)));
    reader.close().await.unwrap();
    run.end(&runner, key(2), vec![], put(2)).await;
}

#[tokio::test]
async fn a_wrong_key_or_environment_is_refused() {
    let home = Home::new();
    let with = |key: &str, environment: Option<&str>| OpenOptions {
        key: Some(SecretString::from(key.repeat(32))),
        environment: environment.map(str::to_owned),
        ..home.options(Access::Runner)
    };
    State::open(with("a", Some("production"))).await.unwrap().close().await.unwrap();
    assert!(matches!(State::open(with("b", Some("production"))).await, Err(StateError::WrongKey)));
    let other = State::open(with("a", Some("staging"))).await;
    assert!(matches!(other, Err(StateError::Environment { .. })));
    assert!(matches!(home.open(Access::Runner).await, Err(StateError::Key { .. })), "no key file was made");
    let short = OpenOptions { key: Some(SecretString::from("short")), ..home.options(Access::Runner) };
    assert!(matches!(State::open(short).await, Err(StateError::Key { .. })));
    State::open(with("a", None)).await.unwrap();
}

#[tokio::test]
async fn a_lost_key_file_is_not_made_anew() {
    let home = Home::new();
    home.runner().await.close().await.unwrap();
    std::fs::remove_file(beside(&home.path(), ".key")).unwrap();
    assert!(matches!(home.open(Access::Runner).await, Err(StateError::Key { .. })));
}

#[tokio::test]
async fn every_file_is_private() {
    let home = Home::new();
    let state = home.runner().await;
    let id = sync(&state, "one").await;
    begin(&state, id).await.end(&state, key(1), vec![], put(1)).await;
    let mut seen = 0;
    for file in std::fs::read_dir(home.path().parent().unwrap()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{}", file.path().display());
        seen += 1;
    }
    assert!(seen >= 5, "state, wal, shm, key, lock, mark");
}

#[tokio::test]
async fn an_older_copy_opens_as_suspect_and_a_missing_file_is_refused() {
    let home = Home::new();
    let state = home.runner().await;
    let id = sync(&state, "one").await;
    assert!(!state.is_suspect().await.unwrap());
    state.close().await.unwrap();
    let copy = std::fs::read(home.path()).unwrap();
    let state = home.runner().await;
    assert!(!state.is_suspect().await.unwrap());
    begin(&state, id).await.end(&state, key(1), vec![], put(1)).await;
    state.close().await.unwrap();
    std::fs::write(home.path(), copy).unwrap();
    let state = home.runner().await;
    assert!(state.is_suspect().await.unwrap());
    state.close().await.unwrap();
    assert!(home.runner().await.is_suspect().await.unwrap(), "it stays suspect");
    let home = Home::new();
    home.runner().await.close().await.unwrap();
    std::fs::remove_file(home.path()).unwrap();
    assert!(matches!(home.open(Access::Runner).await, Err(StateError::Damaged { .. })));
}

#[tokio::test]
async fn no_file_holds_a_match_value_or_a_message_in_clear() {
    const CANARY: &str = "canary-7f3a@example.com";
    let home = Home::new();
    let state = home.runner().await;
    let id = sync(&state, "one").await;
    let run = begin(&state, id).await;
    let sealed = state.seal("match", CANARY.as_bytes()).unwrap();
    assert_eq!(state.unseal("match", &sealed).unwrap(), CANARY.as_bytes());
    assert!(state.unseal("other", &sealed).is_err());
    let mut address = member(key(1));
    address.match_value = Some(MatchValue::Clear(CANARY.into()));
    state.writer().intend(run.intent(vec![address.clone()])).await.unwrap();
    let run = begin(&state, id).await;
    let batch = state.writer().intend(run.intent(vec![address])).await.unwrap();
    let mark = rejected(state.seal("message", CANARY.as_bytes()).unwrap());
    super::support::settle(&state, batch, vec![(vec![], End::Rejected { mark, ambiguous_at: None })])
        .wait()
        .await
        .unwrap();
    let bytes = |suffix: &str| std::fs::read(beside(&home.path(), suffix)).unwrap_or_default();
    // Read as a copy: opening the live file by hand would drop SQLite's locks when it is closed again.
    state.close().await.unwrap();
    for suffix in ["", "-wal", ".mark", ".lock"] {
        let found = bytes(suffix).windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
        assert!(!found, "the canary is in the file `{suffix}`");
    }
    assert!(bytes("").len() > 4_096, "the check must read something");
}
