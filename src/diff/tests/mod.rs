mod decisions;
mod histories;
mod merging;
mod modes;
mod owning;

use std::time::Duration;

use super::Context;
use crate::model::{
    BatchKey, DirtyMark, Entry, Fingerprint, Held, IntentId, Key, Operation, RejectedMark, RunId, Timestamp,
    spec::{Mode, OnRemoved},
};

const LATE: Duration = Duration::from_secs(60);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn print(value: u8) -> Fingerprint {
    Fingerprint::from_bytes([value; 16])
}

fn key(value: u8) -> Key {
    Key::from_encoded(&[value])
}

fn row(value: u8) -> super::Row {
    super::Row { fingerprint: print(value), previous: None }
}

fn context(on_removed: OnRemoved, now: i64) -> Context {
    Context {
        now: at(now),
        late_window: LATE,
        mode: Mode::Upsert,
        on_removed,
        read_from: None,
        removals_allowed: true,
        last_removal: None,
        resync_through: None,
    }
}

fn nothing_held() -> Held {
    Held { key: key(1), entry: None, dirty: Vec::new(), rejected: None, quiet_until: None }
}

fn entry(value: u8, id: Option<&str>) -> Entry {
    Entry {
        fingerprint: print(value),
        encoding: 1,
        run: RunId(1),
        tombstone: false,
        record_id: id.map(Into::into),
        match_hash: None,
        cursor: None,
    }
}

fn mark(batch: i64, operation: Operation, sent: Option<u8>, ambiguous: Option<i64>) -> DirtyMark {
    DirtyMark {
        intent: IntentId { batch, position: 0 },
        operation,
        fingerprint: sent.map(print),
        ambiguous_at: ambiguous.map(at),
        batch_key: Some(BatchKey { idempotency: batch as u128, members: 2 }),
        record_id: None,
        sealed_match: None,
    }
}

fn reject(operation: Operation, refused: Option<u8>, code: &str, next_try: Option<i64>) -> Box<RejectedMark> {
    Box::new(RejectedMark {
        operation,
        fingerprint: refused.map(print),
        code: code.to_owned(),
        sealed_message: Box::default(),
        attempts: 1,
        next_try: next_try.map(at),
        first_at: at(0),
        last_at: at(10),
        run: RunId(1),
    })
}
