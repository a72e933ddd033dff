//! A holder that lost its lease and does not know it: whatever it writes late changes nothing, and what it says about keys
//! that it has sent is kept. In one process, on the state alone, so that every order of events is had at once.

use fastrand::Rng;
use serde_json::json;
use syncline::{
    model::{
        BatchKey, ChangeKind, Counts, Entry, Fingerprint, IntentId, Key, KeyKind, Operation, RunId, SyncId, Timestamp,
        Value, encode_part, spec::KeyShape,
    },
    state::{
        Access, End, GuardedSet, IntentMember, LocalSettle, Location, MarkDirty, NewIntent, NewSync, OpenOptions,
        RunClose, RunStatus, Settle, SettleRow, State, StateError, Target,
    },
};
use tempfile::TempDir;

use crate::{
    report::Report,
    support::{TestDatabase, postgres},
};

/// Keys that the old holder has sent when it loses the lease, and those that it had settled before.
const SENT: std::ops::RangeInclusive<i64> = 1..=4;
const SETTLED: std::ops::RangeInclusive<i64> = 5..=8;
/// A key that nobody has sent.
const MARKED: i64 = 6;

/// What a stale holder tries.
#[derive(Debug, Clone, Copy)]
enum Late {
    Settle,
    Local,
    Intend,
    Invalid,
    Guarded,
    Mark,
}

const LATE: [Late; 6] = [Late::Settle, Late::Local, Late::Intend, Late::Invalid, Late::Guarded, Late::Mark];

/// Takes the lease away so many times; `pooled`: behind a pooler.
pub(super) fn run(rounds: u64, seed: u64, pooled: bool, report: &mut Report) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("no runtime");
    let done = runtime.block_on(async {
        let mut two = Two::open(seed, pooled).await;
        for round in 0..rounds {
            if let Err(broken) = two.round(round).await {
                report.breaks(format!("stale: {broken} (round {round})"));
                return round;
            }
        }
        rounds
    });
    report.figure("stale_holders", done);
    report.figure("stale_writes", done * LATE.len() as u64);
}

/// Two processes, as far as the state can tell.
struct Two {
    states: [State; 2],
    sync: SyncId,
    database: TestDatabase,
    rng: Rng,
    _folders: [TempDir; 2],
}

/// A run under a lease.
#[derive(Clone, Copy)]
struct Run<'a> {
    state: &'a State,
    sync: SyncId,
    run: RunId,
    epoch: i64,
}

impl Two {
    async fn open(seed: u64, pooled: bool) -> Self {
        let database = postgres().await;
        let url = if pooled { database.through_pooler() } else { database.url.clone() };
        let folders = [(); 2].map(|()| tempfile::tempdir().expect("no folder"));
        let options = |folder: &TempDir| OpenOptions {
            key: Some("k".repeat(64).into()),
            ..OpenOptions::new(
                Location::Postgres { url: url.clone().into(), folder: folder.path().to_owned() },
                Access::Runner,
            )
        };
        let [one, two] = &folders;
        let states = [State::open(options(one)).await, State::open(options(two)).await];
        let states = states.map(|state| state.expect("the state does not open"));
        let key = KeyShape { columns: vec!["id".to_owned()], kinds: vec![KeyKind::Integer] };
        let target = Target {
            destination: "http".to_owned(),
            account: None,
            object: "contacts".to_owned(),
            match_fields: vec!["email".to_owned()],
            key,
        };
        let new = NewSync { name: "one".to_owned(), target, mapping: None };
        let sync = states[0].register_sync(new).await.expect("a sync").id;
        Self { states, sync, database, rng: Rng::with_seed(seed), _folders: folders }
    }

    /// One of them loses its lease to the other, which delivers; then the first one goes on.
    async fn round(&mut self, round: u64) -> Result<(), String> {
        let mut order = LATE;
        self.rng.shuffle(&mut order);
        let [a, b] = &self.states;
        let (old, new) = if round.is_multiple_of(2) { (a, b) } else { (b, a) };
        let (before, after) = (value(2 * round + 1), value(2 * round + 2));
        let lost = self.begin(old).await?;
        let sent = lost.intend(SENT).await.map_err(|error| error.to_string())?;
        lost.deliver(SETTLED, before).await?;
        // As time does.
        self.database.execute("update syncline.leases set expires_at = clock_timestamp()").await;
        let taken = self.begin(new).await?;
        taken.deliver(SENT, after).await?;

        for late in order {
            lost.try_late(late, sent, before).await?;
        }
        expect("a close", lost.close().await)?;
        let fingerprint = |number: i64| if SENT.contains(&number) { after } else { before };
        for number in SENT.chain(SETTLED) {
            let held = new.held(self.sync, &key(number)).await.map_err(|error| error.to_string())?;
            let found = held.entry.as_ref().map(|entry| entry.fingerprint);
            if found != Some(fingerprint(number)) {
                return Err(format!("key {number}: a stale holder changed the snapshot"));
            }
            let marks = usize::from(SENT.contains(&number) || number == MARKED);
            if held.dirty.len() != marks {
                return Err(format!("key {number}: {} dirty marks, expected {marks}", held.dirty.len()));
            }
        }
        // The next run sends again what the stale holder spoke of.
        taken.deliver(SENT.chain(MARKED..=MARKED), after).await?;
        taken.deliver(SETTLED, before).await?;
        taken.close().await.map_err(|error| error.to_string())
    }

    async fn begin<'a>(&self, state: &'a State) -> Result<Run<'a>, String> {
        let begun = state.begin_run(self.sync, "test").await.map_err(|error| error.to_string())?;
        Ok(Run { state, sync: self.sync, run: begun.run, epoch: begun.epoch })
    }
}

impl Run<'_> {
    async fn intend(self, keys: impl IntoIterator<Item = i64>) -> Result<i64, StateError> {
        let members: Vec<IntentMember> = keys.into_iter().map(member).collect();
        let batch_key = BatchKey { idempotency: 42, members: u32::try_from(members.len()).expect("few") };
        let (sync, run, epoch) = (self.sync, self.run, self.epoch);
        let send_before = Timestamp::from_micros(1_000_000_000);
        let intent = NewIntent { sync, run, epoch, send_before, batch_key, members, grants: Vec::new() };
        self.state.writer().intend(intent).await
    }

    /// Sends keys and settles them, with every mark that stands.
    async fn deliver(self, keys: impl IntoIterator<Item = i64>, sent: Fingerprint) -> Result<(), String> {
        let keys: Vec<i64> = keys.into_iter().collect();
        let mut rows = Vec::new();
        for (number, position) in keys.iter().zip(0..) {
            let held = self.state.held(self.sync, &key(*number)).await.map_err(|error| error.to_string())?;
            let loaded: Vec<IntentId> = held.dirty.iter().map(|mark| mark.intent).collect();
            rows.push(SettleRow { position, loaded, end: put(sent) });
        }
        let batch = self.intend(keys).await.map_err(|error| error.to_string())?;
        let settled = self.state.writer().settle(Settle { batch, rows });
        settled.wait().await.map_err(|error| error.to_string())
    }

    async fn try_late(self, late: Late, sent: i64, before: Fingerprint) -> Result<(), String> {
        let writer = self.state.writer();
        match late {
            Late::Settle => {
                let rows = (0..4).map(|position| SettleRow { position, loaded: Vec::new(), end: put(before) });
                let settle = Settle { batch: sent, rows: rows.collect() };
                expect("a settle", writer.settle(settle).wait().await)
            }
            Late::Local => {
                let rows = SENT.map(|number| LocalSettle { key: key(number), loaded: Vec::new(), end: put(before) });
                expect(
                    "a settle without a send",
                    writer.settle_local(self.sync, self.epoch, rows.collect()).wait().await,
                )
            }
            Late::Intend => expect("an intent", self.intend(SENT).await.map(drop)),
            Late::Invalid => {
                expect("the list of invalid rows", writer.replace_invalid(self.sync, self.run, Vec::new(), 7).await)
            }
            Late::Guarded => {
                let set = GuardedSet { first_run: false, of_invalid: false };
                let rows = vec![(key(1), ChangeKind::Changed, Some(before))];
                expect("a guarded set", writer.save_guarded(self.run, self.sync, set, rows).await)
            }
            Late::Mark => {
                let mark = MarkDirty {
                    key: key(MARKED),
                    operation: Operation::Upsert,
                    fingerprint: None,
                    ambiguous_at: None,
                    record_id: None,
                    sealed_match: None,
                };
                let marked = writer.mark_dirty(self.sync, vec![mark]).await;
                marked.map(drop).map_err(|error| format!("a stale holder could not mark a key dirty: {error}"))
            }
        }
    }

    async fn close(self) -> Result<(), StateError> {
        let (run, counts) = (self.run, Counts::default());
        self.state.close_run(RunClose { run, status: RunStatus::Ok, counts, summary: json!(null), error: None }).await
    }
}

/// A stale holder's write must be refused.
fn expect(what: &str, result: Result<(), StateError>) -> Result<(), String> {
    match result {
        Err(StateError::Fenced) => Ok(()),
        Ok(()) => Err(format!("{what} of a stale holder was accepted")),
        Err(error) => Err(format!("{what} of a stale holder: expected that it is fenced off, got: {error}")),
    }
}

fn key(number: i64) -> Key {
    let mut bytes = Vec::new();
    encode_part(Value::Int(number), KeyKind::Integer, 0, &mut bytes).expect("an integer is a key");
    Key::from_encoded(&bytes)
}

fn member(number: i64) -> IntentMember {
    IntentMember {
        key: key(number),
        operation: Operation::Upsert,
        fingerprint: Some(value(0)),
        correlation: 1,
        record_id: None,
        match_value: None,
    }
}

fn value(number: u64) -> Fingerprint {
    Fingerprint::from_bytes(u128::from(number).to_be_bytes())
}

fn put(fingerprint: Fingerprint) -> End {
    let entry = Entry {
        fingerprint,
        encoding: 1,
        run: RunId(1),
        tombstone: false,
        record_id: None,
        match_hash: None,
        cursor: None,
    };
    End::Put { entry, owners: Vec::new(), quiet_until: None }
}
