//! Targets of the fuzzer: the state's blobs.
//!
//! Bytes are read twice: as a blob, whose checksum they fail, and as the payload of a sound frame, as a bug or a forger
//! would make it. What a payload means comes back when it is packed again, and a blob that is changed anywhere is refused.

use super::*;
use crate::{
    model::{
        BatchKey, DirtyMark, Entry, Fingerprint, IntentId, InvalidCode, InvalidRow, Key, Operation, RejectedMark,
        RunId, SyncId, Timestamp,
    },
    proof::Target,
    state::{IntentMember, MatchValue, OwnerChange, OwnerSpace, StateError, store::Space},
};

pub(crate) const FUZZ_TARGETS: &[Target] = &[
    Target::new("page", |bytes| PAGE.check(bytes), || vec![payload(&PAGE.pack(&entries()))]),
    Target::new("journal", |bytes| JOURNAL.check(bytes), || vec![payload(&JOURNAL.pack(&journal()))]),
    Target::new("intent", |bytes| INTENT.check(bytes), || vec![payload(&INTENT.pack(&intent()))]),
    Target::new("dirty", |bytes| DIRTY.check(bytes), || vec![payload(&DIRTY.pack(&dirty()))]),
    Target::new("rejected", |bytes| REJECTED.check(bytes), || vec![payload(&REJECTED.pack(&rejected()))]),
    Target::new("guarded", |bytes| GUARDED.check(bytes), || vec![payload(&GUARDED.pack(&guarded()))]),
    Target::new("invalid", |bytes| INVALID.check(bytes), || vec![payload(&INVALID.pack(&invalid()))]),
];

const SYNC: SyncId = SyncId(3);
const RUN: RunId = RunId(3);
const BATCH: i64 = 9;
const PLACE: IntentId = IntentId { batch: BATCH, position: 6 };

/// One kind of blob.
struct Blob<T> {
    frame: fn(&[u8]) -> Vec<u8>,
    pack: fn(&T) -> Vec<u8>,
    unpack: fn(&[u8]) -> Result<T, StateError>,
}

impl<T: PartialEq> Blob<T> {
    fn pack(&self, value: &T) -> Vec<u8> {
        (self.pack)(value)
    }

    fn check(&self, bytes: &[u8]) {
        if let Err(error) = (self.unpack)(bytes) {
            assert!(!error.to_string().is_empty(), "refused without a reason");
        }
        let framed = (self.frame)(bytes);
        let Ok(value) = (self.unpack)(&framed) else { return };
        let packed = self.pack(&value);
        assert!((self.unpack)(&packed).is_ok_and(|again| again == value), "packed and unpacked, it is another");
        let at = bytes.len().wrapping_mul(7) % framed.len();
        let mut changed = framed.clone();
        changed[at] ^= 1 << (bytes.len() % 8);
        assert!((self.unpack)(&changed).is_err(), "a changed bit is not noticed");
        assert!((self.unpack)(&framed[..at]).is_err(), "a cut blob is not noticed");
    }
}

/// A sound blob without its version and checksum.
fn payload(blob: &[u8]) -> Vec<u8> {
    blob[9..].to_vec()
}

fn key() -> Key {
    Key::from_encoded(b"k")
}

fn frame_page(payload: &[u8]) -> Vec<u8> {
    checked::wrap("pages", &[&[0, 3, 0, 0, 0, 0, 0, 0, 0]], payload)
}

const PAGE: Blob<Vec<(Key, Entry)>> = Blob {
    frame: frame_page,
    // A page without entries is never written; its payload is a zero.
    pack: |items| pack(SYNC, Space::Entries, items).map_or_else(|| frame_page(&[0]), |page| page.data),
    unpack: |data| unpack(SYNC, Space::Entries, data),
};

const JOURNAL: Blob<JournalRow> = Blob {
    frame: |payload| checked::wrap("journal", &[&SYNC.0.to_le_bytes()], payload),
    pack: |row| pack_journal(SYNC, row),
    unpack: |data| unpack_journal(SYNC, data),
};

const INTENT: Blob<PackedIntent> = Blob {
    frame: |payload| checked::wrap("intents", &[&SYNC.0.to_le_bytes(), &BATCH.to_le_bytes()], payload),
    pack: |intent| pack_intent(SYNC, BATCH, intent.batch_key, &intent.members, intent.matches.as_deref()),
    unpack: |data| unpack_intent(SYNC, BATCH, data),
};

const DIRTY: Blob<DirtyMark> = Blob {
    frame: |payload| {
        let place = [&SYNC.0.to_le_bytes()[..], b"k", &PLACE.batch.to_le_bytes(), &PLACE.position.to_le_bytes()];
        checked::wrap("dirty", &place, payload)
    },
    pack: |mark| pack_dirty(SYNC, &key(), mark),
    unpack: |data| unpack_dirty(SYNC, &key(), PLACE, data),
};

const REJECTED: Blob<RejectedMark> = Blob {
    frame: |payload| checked::wrap("rejected", &[&SYNC.0.to_le_bytes(), b"k"], payload),
    pack: |mark| pack_rejected(SYNC, &key(), mark),
    unpack: |data| unpack_rejected(SYNC, &key(), data),
};

const GUARDED: Blob<Vec<GuardedRow>> = Blob {
    frame: |payload| checked::wrap("guarded", &[&RUN.0.to_le_bytes()], payload),
    pack: |rows| pack_guarded(RUN, rows),
    unpack: |data| unpack_guarded(RUN, data),
};

const INVALID: Blob<InvalidRow> = Blob {
    frame: |payload| checked::wrap("invalid", &[&SYNC.0.to_le_bytes()], payload),
    pack: |row| pack_invalid(SYNC, row),
    unpack: |data| unpack_invalid(SYNC, data),
};

fn entry(number: u8) -> Entry {
    Entry {
        fingerprint: Fingerprint::from_bytes([number; 16]),
        encoding: 1,
        run: RunId(300),
        tombstone: number.is_multiple_of(5),
        match_hash: number.is_multiple_of(2).then_some(7),
        record_id: number.is_multiple_of(3).then(|| "501".into()),
        cursor: number.is_multiple_of(4).then_some(-1),
    }
}

fn entries() -> Vec<(Key, Entry)> {
    (1..9).map(|number| (Key::from_encoded(&[0x15, number]), entry(number))).collect()
}

fn journal() -> JournalRow {
    let change = |space, present| OwnerChange { space, hash: 77, present };
    JournalRow {
        entries: entries().into_iter().map(|(key, entry)| (key, (!entry.tombstone).then_some(entry))).collect(),
        owners: vec![(key(), change(OwnerSpace::Match, true)), (key(), change(OwnerSpace::RecordId, false))],
    }
}

fn intent() -> PackedIntent {
    let member = |operation: Operation, fingerprint| IntentMember {
        key: key(),
        operation,
        fingerprint,
        correlation: 4,
        record_id: Some("id".into()),
        match_value: Some(MatchValue::Sealed(vec![1, 2].into())),
    };
    let members =
        vec![member(Operation::Upsert, Some(Fingerprint::from_bytes([1; 16]))), member(Operation::Delete, None)];
    let batch_key = BatchKey { idempotency: u128::MAX, members: 2 };
    PackedIntent { batch_key, members, matches: Some(vec![3; 30].into()) }
}

fn dirty() -> DirtyMark {
    DirtyMark {
        intent: PLACE,
        operation: Operation::Upsert,
        fingerprint: Some(Fingerprint::from_bytes([1; 16])),
        ambiguous_at: Some(Timestamp::from_micros(-5)),
        batch_key: Some(BatchKey { idempotency: 1, members: 100 }),
        record_id: Some("501".into()),
        sealed_match: None,
    }
}

fn rejected() -> RejectedMark {
    RejectedMark {
        operation: Operation::Update,
        fingerprint: Some(Fingerprint::from_bytes([2; 16])),
        code: "VALIDATION_ERROR".to_owned(),
        sealed_message: vec![3; 40].into(),
        attempts: 3,
        next_try: Some(Timestamp::from_micros(1_795_000_000_000_000)),
        first_at: Timestamp::from_micros(1),
        last_at: Timestamp::from_micros(2),
        run: RUN,
    }
}

fn guarded() -> Vec<GuardedRow> {
    use crate::model::ChangeKind::{Added, Changed, Removed};
    let print = Some(Fingerprint::from_bytes([1; 16]));
    vec![(key(), Added, print), (key(), Changed, print), (key(), Removed, None)]
}

fn invalid() -> InvalidRow {
    InvalidRow {
        key: Some(key()),
        code: InvalidCode::MatchConflict,
        field: Some("email".to_owned()),
        detail: "two keys have this match value".to_owned(),
        others: vec![key(), key()],
    }
}
