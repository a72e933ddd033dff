//! Packed forms: round trips, budgets, and that damage is an error and never a panic.

use proptest::prelude::*;

use super::*;
use crate::{
    model::{
        BatchKey, DirtyMark, Entry, Fingerprint, IntentId, Key, KeyKind, Operation, RunId, SyncId, Timestamp, Value,
        encode_part,
    },
    state::{
        IntentMember, MatchValue, OwnerChange, OwnerSpace,
        store::{Level, Space},
    },
};

const SYNC: SyncId = SyncId(3);

fn entry() -> impl Strategy<Value = Entry> {
    let owned = (
        proptest::option::of(any::<u64>()),
        proptest::option::of("[a-z0-9]{0,12}"),
        proptest::option::of(any::<i64>()),
    );
    (any::<[u8; 16]>(), any::<u8>(), 0..i64::MAX, any::<bool>(), owned).prop_map(
        |(fingerprint, encoding, run, tombstone, (match_hash, id, cursor))| Entry {
            fingerprint: Fingerprint::from_bytes(fingerprint),
            encoding,
            run: RunId(run),
            tombstone,
            match_hash,
            record_id: id.map(Into::into),
            cursor,
        },
    )
}

fn key() -> impl Strategy<Value = Key> {
    proptest::collection::vec(any::<u8>(), 1..24).prop_map(|bytes| Key::from_encoded(&bytes))
}

proptest! {
    #[test]
    fn pages_round_trip(items in proptest::collection::btree_map(key(), entry(), 1..80)) {
        let items: Vec<(Key, Entry)> = items.into_iter().collect();
        let page = pack(SYNC, Space::Entries, &items).unwrap();
        prop_assert_eq!(page.entries, items.len() as u64);
        prop_assert_eq!(page.live, items.iter().filter(|(_, entry)| !entry.tombstone).count() as u64);
        prop_assert_eq!(&page.first, items[0].0.as_bytes());
        prop_assert_eq!(unpack::<Entry>(SYNC, Space::Entries, &page.data).unwrap(), items);
        prop_assert!(unpack::<Entry>(SyncId(4), Space::Entries, &page.data).is_err());
        prop_assert!(unpack::<Entry>(SYNC, Space::Owners(OwnerSpace::Match, Level::OLDEST), &page.data).is_err());
    }

    #[test]
    fn journals_round_trip(
        entries in proptest::collection::vec((key(), proptest::option::of(entry())), 0..20),
        owners in proptest::collection::vec((key(), any::<u64>(), any::<bool>(), any::<bool>()), 0..20),
    ) {
        let owners = owners.into_iter().map(|(key, hash, present, by_match)| {
            let space = if by_match { OwnerSpace::Match } else { OwnerSpace::RecordId };
            (key, OwnerChange { space, hash, present })
        });
        let row = JournalRow { entries, owners: owners.collect() };
        prop_assert_eq!(unpack_journal(SYNC, &pack_journal(SYNC, &row)).unwrap(), row);
    }

    #[test]
    fn any_changed_byte_is_noticed(
        at: prop::sample::Index, bit in 0..8_u8, cut: prop::sample::Index, matches: Option<Vec<u8>>,
    ) {
        let member = IntentMember {
            key: Key::from_encoded(b"k"),
            operation: Operation::Delete,
            fingerprint: None,
            correlation: 4,
            record_id: Some("id".into()),
            match_value: Some(MatchValue::Sealed(vec![1, 2].into())),
        };
        let batch_key = BatchKey { idempotency: 1, members: 1 };
        let sound = pack_intent(SYNC, 9, batch_key, std::slice::from_ref(&member), matches.as_deref());
        let matches = matches.map(Vec::into_boxed_slice);
        let packed = PackedIntent { batch_key, members: vec![member], matches };
        prop_assert_eq!(unpack_intent(SYNC, 9, &sound).unwrap(), packed);
        prop_assert!(unpack_intent(SYNC, 8, &sound).is_err());
        let mut bytes = sound.clone();
        bytes[at.index(sound.len())] ^= 1 << bit;
        prop_assert!(unpack_intent(SYNC, 9, &bytes).is_err());
        prop_assert!(unpack_intent(SYNC, 9, &sound[..cut.index(sound.len())]).is_err());
    }

    /// Payloads that pass the checksum but mean nothing, as a bug or a forger would make them.
    #[test]
    fn senseless_payloads_never_panic(payload: Vec<u8>) {
        let place = SYNC.0.to_le_bytes();
        drop(unpack_journal(SYNC, &checked::wrap("journal", &[&place], &payload)));
        drop(unpack_invalid(SYNC, &checked::wrap("invalid", &[&place], &payload)));
        drop(unpack_guarded(RunId(3), &checked::wrap("guarded", &[&place], &payload)));
        drop(unpack_rejected(SYNC, &Key::from_encoded(b"k"), &checked::wrap("rejected", &[&place, b"k"], &payload)));
        let page = checked::wrap("pages", &[&[0, 3, 0, 0, 0, 0, 0, 0, 0]], &payload);
        drop(unpack::<Entry>(SYNC, Space::Entries, &page));
    }

    #[test]
    fn owner_keys_order_by_hash_then_key(a: u64, b: u64, x in key(), y in key()) {
        let (first, second) = (owner_key(a, &x), owner_key(b, &y));
        prop_assert_eq!(first.cmp(&second), (a, &x).cmp(&(b, &y)));
        prop_assert_eq!(split_owner_key(&first).unwrap(), (a, x));
    }
}

#[test]
fn dirty_marks_belong_to_their_row() {
    let key = Key::from_encoded(b"k");
    let intent = IntentId { batch: 5, position: 6 };
    let mark = DirtyMark {
        intent,
        operation: Operation::Upsert,
        fingerprint: Some(Fingerprint::from_bytes([1; 16])),
        ambiguous_at: Some(Timestamp::from_micros(-5)),
        batch_key: Some(BatchKey { idempotency: u128::MAX, members: 100 }),
        record_id: None,
        sealed_match: None,
    };
    let data = pack_dirty(SYNC, &key, &mark);
    assert!(unpack_dirty(SYNC, &key, intent, &data).unwrap() == mark);
    assert!(unpack_dirty(SYNC, &Key::from_encoded(b"l"), intent, &data).is_err());
    assert!(unpack_dirty(SYNC, &key, IntentId { batch: 6, position: 5 }, &data).is_err());
    let quiet = pack_quiet(SYNC, &key, Timestamp::from_micros(8));
    assert_eq!(unpack_quiet(SYNC, &key, &quiet).unwrap(), Timestamp::from_micros(8));
}

/// At most 48 bytes a row for 16-byte keys and 32 for integers, before ids.
#[test]
fn pages_keep_their_budget() {
    let entry = |number: u64| Entry {
        fingerprint: Fingerprint::from_bytes(u128::from(number).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes()),
        encoding: 1,
        run: RunId(1_000_000),
        tombstone: false,
        match_hash: None,
        record_id: None,
        cursor: None,
    };
    let bytes_per_row = |keys: std::collections::BTreeSet<Key>| {
        let items: Vec<(Key, Entry)> = (0..).zip(keys).map(|(number, key)| (key, entry(number))).collect();
        pack(SYNC, Space::Entries, &items).unwrap().data.len() / items.len() + 1
    };
    let encoded = |value, kind| {
        let mut bytes = Vec::new();
        encode_part(value, kind, 0, &mut bytes).unwrap();
        Key::from_encoded(&bytes)
    };
    let mut random = fastrand::Rng::with_seed(1);
    let uuids = (0..1_000).map(|_| encoded(Value::Uuid(random.u128(..).to_be_bytes()), KeyKind::Uuid)).collect();
    let integers = (5_000_000..5_001_000).map(|number| encoded(Value::Int(number), KeyKind::Integer)).collect();
    let (uuid, integer) = (bytes_per_row(uuids), bytes_per_row(integers));
    assert!(uuid <= 48, "{uuid} bytes a row");
    assert!(integer <= 32, "{integer} bytes a row");
}
