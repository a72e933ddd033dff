//! How long the state takes: a million entries settled in batches of 100, then read through the overlay.
//! `cargo bench --bench state -- [ENTRIES]`

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "prints figures, and may stop at the first error")]

use syncline::{
    model::{BatchKey, Entry, Fingerprint, Key, KeyKind, Operation, Timestamp, Value, encode_part, spec::KeyShape},
    state::{Access, End, IntentMember, Location, NewIntent, NewSync, OpenOptions, Settle, SettleRow, State, Target},
};
use tokio::time::Instant;

const BATCH: i64 = 100;
const IN_FLIGHT: i64 = 16;

fn key(number: i64) -> Key {
    let mut bytes = Vec::new();
    encode_part(Value::Int(number), KeyKind::Integer, 0, &mut bytes).unwrap();
    Key::from_encoded(&bytes)
}

#[tokio::main]
async fn main() {
    let entries = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(1_000_000_i64);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let options = OpenOptions::new(Location::Sqlite(path.clone()), Access::Runner);
    let state = State::open(options).await.unwrap();
    let target = Target {
        destination: "http".to_owned(),
        account: None,
        object: "o".to_owned(),
        match_fields: vec![],
        key: KeyShape { columns: vec!["id".to_owned()], kinds: vec![KeyKind::Integer] },
    };
    let sync = state.register_sync(NewSync { name: "bench".to_owned(), target, mapping: None }).await.unwrap().id;
    let run = state.begin_run(sync, "bench").await.unwrap();

    let begun = Instant::now();
    for first in (0..entries).step_by((BATCH * IN_FLIGHT) as usize) {
        let batches = (0..IN_FLIGHT).map(|at| batch(&state, sync, run.run, run.epoch, first + at * BATCH));
        futures_util::future::join_all(batches).await;
    }
    state.writer().flush().await.unwrap();
    let commits = state.writer().commits();
    println!("settled {entries} entries in batches of {BATCH}: {:.2?}, {commits} transactions", begun.elapsed());

    for pass in ["first", "second"] {
        let begun = Instant::now();
        let mut overlay = state.overlay(sync);
        let mut read = 0;
        while overlay.next().await.unwrap().is_some() {
            read += 1;
        }
        println!("{pass} pass of the overlay, {read} entries: {:.2?}", begun.elapsed());
    }
    let begun = Instant::now();
    let counted = state.begin_run(sync, "bench").await.unwrap();
    println!("begin of the next run, {} entries: {:.2?}", counted.entries, begun.elapsed());
    state.close().await.unwrap();
    println!("file: {} bytes", std::fs::metadata(&path).unwrap().len());
}

async fn batch(state: &State, sync: syncline::model::SyncId, run: syncline::model::RunId, epoch: i64, first: i64) {
    let members: Vec<IntentMember> = (first..first + BATCH)
        .map(|number| IntentMember {
            key: key(number),
            operation: Operation::Upsert,
            fingerprint: Some(Fingerprint::from_bytes([7; 16])),
            correlation: 0,
            record_id: None,
            sealed_match: None,
        })
        .collect();
    let batch_key = BatchKey { idempotency: 1, members: BATCH as u32 };
    let send_before = Timestamp::from_micros(i64::MAX);
    let intent = NewIntent { sync, run, epoch, send_before, batch_key, members, grants: vec![] };
    let batch = state.writer().intend(intent).await.unwrap();
    let rows = (0..BATCH as u32).map(|position| SettleRow {
        position,
        loaded: vec![],
        end: End::Put {
            entry: Entry {
                fingerprint: Fingerprint::from_bytes([7; 16]),
                encoding: 1,
                run,
                tombstone: false,
                match_hash: None,
                record_id: None,
                cursor: None,
            },
            owners: vec![],
            quiet_until: None,
        },
    });
    state.writer().settle(Settle { batch, rows: rows.collect() });
}
