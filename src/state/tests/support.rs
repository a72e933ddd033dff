//! What the tests share: a folder with a state, and short ways to write.

use std::path::PathBuf;

use super::servers::postgres::postgres;
use crate::{
    model::{
        BatchKey, Entry, Fingerprint, Held, IntentId, Key, KeyKind, Operation, RejectedMark, RunId, SyncId, Timestamp,
        encode_part, spec::KeyShape,
    },
    state::{
        Access, End, IntentMember, Location, NewIntent, NewSync, OpenOptions, OwnerChange, OwnerSpace, Settle,
        SettleRow, SettleTicket, State, StateError, Target,
    },
};

/// A place for a state: a folder, and with a URL a database.
pub(super) struct Home {
    folder: tempfile::TempDir,
    url: Option<String>,
}

/// Runs each of these functions as a test on every store.
macro_rules! on_every_store {
    ($($name:ident),* $(,)?) => {
        $(
            mod $name {
                use crate::state::tests::support::Home;

                #[tokio::test]
                async fn on_sqlite() {
                    super::$name(Home::new()).await;
                }

                #[tokio::test]
                async fn on_postgresql() {
                    super::$name(Home::postgres().await).await;
                }

                #[tokio::test]
                async fn behind_a_pooler() {
                    super::$name(Home::pooled().await).await;
                }
            }
        )*
    };
}
pub(super) use on_every_store;

impl Home {
    /// For a state in a file.
    pub(super) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), url: None }
    }

    /// For a state in a database of its own.
    pub(super) async fn postgres() -> Self {
        Self { url: Some(postgres().await.url), ..Self::new() }
    }

    /// The same behind a pooler that gives each transaction another connection.
    pub(super) async fn pooled() -> Self {
        Self { url: Some(postgres().await.through_pooler()), ..Self::new() }
    }

    /// Another one of the same kind.
    pub(super) async fn another(&self) -> Self {
        if self.url.is_some() { Self::postgres().await } else { Self::new() }
    }

    /// The same database from another host.
    pub(super) fn elsewhere(&self) -> Self {
        Self { url: self.url.clone(), ..Self::new() }
    }

    /// The same state through another address.
    pub(super) fn through(&self, url: String) -> Self {
        Self { url: Some(url), ..Self::new() }
    }

    pub(super) fn url(&self) -> &str {
        self.url.as_deref().unwrap()
    }

    /// Where the mark is.
    pub(super) fn mark(&self) -> PathBuf {
        self.folder.path().join("syncline.mark")
    }

    pub(super) fn path(&self) -> PathBuf {
        self.folder.path().join("state.db")
    }

    pub(super) fn options(&self, access: Access) -> OpenOptions {
        match &self.url {
            None => OpenOptions::new(Location::Sqlite(self.path()), access),
            Some(url) => {
                let folder = self.folder.path().to_owned();
                let location = Location::Postgres { url: url.clone().into(), folder };
                OpenOptions { key: Some("k".repeat(64).into()), ..OpenOptions::new(location, access) }
            }
        }
    }

    pub(super) async fn open(&self, access: Access) -> Result<State, StateError> {
        State::open(self.options(access)).await
    }

    pub(super) async fn runner(&self) -> State {
        self.open(Access::Runner).await.unwrap()
    }
}

pub(super) fn target() -> Target {
    Target {
        destination: "http".to_owned(),
        account: None,
        object: "contacts".to_owned(),
        match_fields: vec!["email".to_owned()],
        key: KeyShape { columns: vec!["id".to_owned()], kinds: vec![KeyKind::Integer] },
    }
}

pub(super) async fn sync(state: &State, name: &str) -> SyncId {
    if let Some(sync) = state.sync(name).await.unwrap() {
        return sync.id;
    }
    let new = NewSync { name: name.to_owned(), target: target(), mapping: None };
    state.register_sync(new).await.unwrap().id
}

pub(super) fn key(number: i64) -> Key {
    let mut bytes = Vec::new();
    encode_part(crate::model::Value::Int(number), KeyKind::Integer, 0, &mut bytes).unwrap();
    Key::from_encoded(&bytes)
}

pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

pub(super) fn entry(value: u8) -> Entry {
    Entry {
        fingerprint: Fingerprint::from_bytes([value; 16]),
        encoding: 1,
        run: RunId(1),
        tombstone: false,
        record_id: None,
        match_hash: None,
        cursor: None,
    }
}

pub(super) fn put(value: u8) -> End {
    End::Put { entry: entry(value), owners: Vec::new(), quiet_until: None }
}

pub(super) fn rejected(message: Box<[u8]>) -> RejectedMark {
    RejectedMark {
        operation: Operation::Upsert,
        fingerprint: Some(Fingerprint::from_bytes([9; 16])),
        code: "INVALID_EMAIL".to_owned(),
        sealed_message: message,
        attempts: 1,
        next_try: None,
        first_at: at(1),
        last_at: at(2),
        run: RunId(1),
    }
}

pub(super) fn own(space: OwnerSpace, hash: u64, present: bool) -> OwnerChange {
    OwnerChange { space, hash, present }
}

pub(super) fn member(key: Key) -> IntentMember {
    IntentMember {
        key,
        operation: Operation::Upsert,
        fingerprint: Some(Fingerprint::from_bytes([7; 16])),
        correlation: 1,
        record_id: None,
        match_value: None,
    }
}

/// A run of one sync, with its epoch.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub(super) sync: SyncId,
    pub(super) run: RunId,
    pub(super) epoch: i64,
}

pub(super) async fn begin(state: &State, sync: SyncId) -> Run {
    let begun = state.begin_run(sync, "test").await.unwrap();
    Run { sync, run: begun.run, epoch: begun.epoch }
}

impl Run {
    pub(super) fn intent(self, members: Vec<IntentMember>) -> NewIntent {
        NewIntent {
            sync: self.sync,
            run: self.run,
            epoch: self.epoch,
            send_before: at(1_000),
            batch_key: BatchKey { idempotency: 42, members: members.len() as u32 },
            members,
            grants: Vec::new(),
        }
    }

    pub(super) async fn intend(self, state: &State, keys: &[Key]) -> i64 {
        let members = keys.iter().cloned().map(member).collect();
        state.writer().intend(self.intent(members)).await.unwrap()
    }

    /// Intends and settles one key.
    pub(super) async fn end(self, state: &State, key: Key, loaded: Vec<IntentId>, end: End) -> i64 {
        let batch = self.intend(state, &[key]).await;
        settle(state, batch, vec![(loaded, end)]).wait().await.unwrap();
        batch
    }
}

pub(super) fn settle(state: &State, batch: i64, ends: Vec<(Vec<IntentId>, End)>) -> SettleTicket {
    let rows = (0..).zip(ends).map(|(position, (loaded, end))| SettleRow { position, loaded, end });
    state.writer().settle(Settle { batch, rows: rows.collect() })
}

pub(super) async fn overlay(state: &State, sync: SyncId) -> Result<Vec<Held>, StateError> {
    let mut overlay = state.overlay(sync);
    let mut all: Vec<Held> = Vec::new();
    while let Some(held) = overlay.next().await? {
        assert!(all.last().is_none_or(|last| last.key < held.key), "keys must strictly increase");
        all.push(held);
    }
    Ok(all)
}

/// A state with a sync `one` and a run of it that has begun.
pub(super) async fn started(home: &Home) -> (State, Run) {
    let state = home.runner().await;
    let id = sync(&state, "one").await;
    let run = begin(&state, id).await;
    (state, run)
}
