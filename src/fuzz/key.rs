//! Keys: order, and the way to values and texts and back.

use std::cmp::Ordering;

use super::bits::{Bits, Drawn};
use crate::model::{Key, KeyKind, KeyTextProblem, KeyValues, Value, encode_part};

/// Days from year 1 to 9999, which have a text that is read back.
const DAYS: std::ops::Range<i32> = -719_162..2_932_896;
/// The same in microseconds, less the last days.
const MICROS: std::ops::Range<i64> = -62_135_596_800_000_000..253_370_000_000_000_000;

/// Two keys of the same kinds order as their values, come back as their values, and from their text.
pub(super) fn run(bytes: &[u8]) {
    // As a key of the state's, which may be damaged.
    let foreign = Key::from_encoded(bytes);
    assert_eq!(foreign.to_text().is_some(), KeyValues::decode(&foreign).is_some(), "half readable");
    drop(foreign.to_string());

    let bits = &mut Bits(bytes);
    let kinds: Vec<KeyKind> = (0..=bits.byte() % 3).map(|_| bits.kind()).collect();
    let [one, other] = [(); 2].map(|()| kinds.iter().map(|kind| part(*kind, bits)).collect::<Vec<_>>());
    let [first, second] = [&one, &other].map(|values| encode(values, &kinds));
    assert_eq!(first.cmp(&second), order(&one, &other), "the order of keys is not that of their values");
    back(&one, &kinds, &first);
    back(&other, &kinds, &second);
}

fn part(kind: KeyKind, bits: &mut Bits<'_>) -> Drawn {
    match kind {
        KeyKind::Integer => Drawn::Int(bits.number()),
        KeyKind::Text => Drawn::Text(bits.text()),
        KeyKind::Uuid => Drawn::Uuid(bits.array()),
        KeyKind::Bytes => Drawn::Bytes(bits.bytes().to_vec()),
        KeyKind::Date => Drawn::Date(i32::from_le_bytes(bits.array())),
        KeyKind::Timestamp => Drawn::Timestamp(bits.number()),
        KeyKind::Bool => Drawn::Bool(bits.byte() % 2 == 1),
    }
}

fn encode(values: &[Drawn], kinds: &[KeyKind]) -> Key {
    let mut out = Vec::new();
    for (column, (value, kind)) in values.iter().zip(kinds).enumerate() {
        let encoded = encode_part(value.as_value(), *kind, column, &mut out);
        assert_eq!(encoded, Ok(()), "a value of the kind is refused");
    }
    Key::from_encoded(&out)
}

fn order(one: &[Drawn], other: &[Drawn]) -> Ordering {
    let compare = |(a, b): (&Drawn, &Drawn)| match (a.as_value(), b.as_value()) {
        (Value::Int(a), Value::Int(b)) | (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(&b),
        (Value::Text(a), Value::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        (Value::Uuid(a), Value::Uuid(b)) => a.cmp(&b),
        (Value::Date(a), Value::Date(b)) => a.cmp(&b),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(&b),
        (_, _) => unreachable!("both are of one kind"),
    };
    one.iter().zip(other).map(compare).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn back(values: &[Drawn], kinds: &[KeyKind], key: &Key) {
    let Some(decoded) = KeyValues::decode(key) else { unreachable!("a key that was encoded is damaged") };
    for (position, value) in values.iter().enumerate() {
        assert!(decoded.get(position) == Some(value.as_value()), "a key part comes back as another");
    }
    let has_text = |value: &Drawn| match value.as_value() {
        Value::Date(day) => DAYS.contains(&day),
        Value::Timestamp(micros) => MICROS.contains(&micros),
        _ => true,
    };
    let read = Key::from_text(&key.to_text().unwrap_or_default(), kinds);
    if values.iter().all(has_text) {
        let known = match &read {
            Ok(read) => read == key,
            Err(problem) => matches!(problem, KeyTextProblem::Ambiguous | KeyTextProblem::TooLong),
        };
        assert!(known, "a printed key is not read back: {read:?}");
    }
}

/// Kinds, then two keys.
pub(super) fn seeds() -> Vec<Vec<u8>> {
    let mut integers = vec![0, 0];
    integers.extend_from_slice(&i64::MIN.to_le_bytes());
    integers.extend_from_slice(&(-256_i64).to_le_bytes());
    let texts = b"\x01\x01\x00\x03a, \x07\0\0\0\0\0\0\0\x03a\0b\x08\0\0\0\0\0\0\0".to_vec();
    let times = [&[1, 4, 5][..], &20_000_i32.to_le_bytes(), &1_795_000_000_000_000_i64.to_le_bytes()].concat();
    let uuids = (0..40).collect::<Vec<u8>>();
    let mut key = Vec::new();
    for (value, kind) in [(Value::Text("acme\0"), KeyKind::Text), (Value::Int(-7), KeyKind::Integer)] {
        assert_eq!(encode_part(value, kind, 0, &mut key), Ok(()), "a plain value is refused");
    }
    vec![integers, texts, times, [&[2, 2, 3, 6][..], &uuids].concat(), key]
}
