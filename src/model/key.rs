//! Keys: the model's primary key in an order-preserving, self-delimiting encoding (after FoundationDB's tuple layer).

use std::fmt;

use smallvec::SmallVec;

use super::{RowRef, Timestamp, Value, key_values::Owned};

/// Longest encoded key, in bytes.
pub const MAX_KEY_BYTES: usize = 512;

/// What a key column holds; fixed at a sync's first run. Floats are refused: they have no exact equality.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyKind {
    /// 64-bit integers, ordered by value.
    Integer,
    /// Text, ordered by its UTF-8 bytes.
    Text,
    /// UUIDs, ordered by their bytes.
    Uuid,
    /// Bytes, ordered bytewise.
    Bytes,
    /// Dates, ordered by day.
    Date,
    /// Timestamps (with or without zone), ordered by microsecond.
    Timestamp,
    /// Booleans, false first.
    Bool,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Integer => "integer",
            Self::Text => "text",
            Self::Uuid => "uuid",
            Self::Bytes => "bytes",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Bool => "bool",
        })
    }
}

/// Why a row has no usable key. Such a row is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyProblem {
    /// A key column is null.
    #[error("key column {column} is null")]
    Null {
        /// Position among the key columns, from 0.
        column: usize,
    },
    /// A key column holds a value of another kind than the sync's first run fixed.
    #[error("key column {column} holds {found} where {expected} was expected")]
    WrongKind {
        /// Position among the key columns, from 0.
        column: usize,
        /// The sync's kind.
        expected: KeyKind,
        /// The value's kind.
        found: &'static str,
    },
    /// The encoded key is longer than [`MAX_KEY_BYTES`].
    #[error("key is longer than {MAX_KEY_BYTES} bytes")]
    TooLong,
}

/// Bytes that a key holds in place: a UUID, or an integer behind the hash of an owner.
const IN_PLACE: usize = 24;

/// An encoded key. Comparing keys compares rows in the order of the order contract.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(SmallVec<[u8; IN_PLACE]>);

const TEXT: u8 = 0x02;
const BYTES: u8 = 0x01;
const INTEGER_ZERO: u8 = 0x14;
const FALSE: u8 = 0x26;
const TRUE: u8 = 0x27;
const UUID: u8 = 0x30;
const DATE: u8 = 0x40;
const TIMESTAMP: u8 = 0x41;

impl Key {
    /// From bytes that [`encode_key`] wrote.
    pub fn from_encoded(bytes: &[u8]) -> Self {
        Self(SmallVec::from_slice(bytes))
    }

    /// The encoded bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The key's columns as text, for people: `42`, or `acme, 7` for a composite key. `None` when the bytes are damaged.
    pub fn to_text(&self) -> Option<String> {
        let mut rest: &[u8] = &self.0;
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let (part, tail) = decode_part(rest)?;
            parts.push(part);
            rest = tail;
        }
        Some(parts.join(", "))
    }
}

impl fmt::Display for Key {
    /// For command output only; a key is a row value and does not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text().unwrap_or_else(|| "<damaged key>".to_owned()))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} bytes)", self.0.len())
    }
}

/// Appends the key of `row` to `out`: one part for each key column, `columns` being positions in the row.
///
/// # Errors
/// [`KeyProblem`] when a part is null, of another kind, or the key is too long; `out` is then left as it was.
pub fn encode_key(row: RowRef<'_>, columns: &[usize], kinds: &[KeyKind], out: &mut Vec<u8>) -> Result<(), KeyProblem> {
    let start = out.len();
    let result = columns
        .iter()
        .zip(kinds)
        .enumerate()
        .try_for_each(|(position, (&column, &kind))| encode_part(row.cell(column), kind, position, out));
    let result =
        result.and_then(|()| if out.len() - start > MAX_KEY_BYTES { Err(KeyProblem::TooLong) } else { Ok(()) });
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Appends one key part. Used by [`encode_key`] and to encode a key given on the command line.
///
/// # Errors
/// [`KeyProblem`] when the value is null or of another kind.
pub fn encode_part(value: Value<'_>, kind: KeyKind, column: usize, out: &mut Vec<u8>) -> Result<(), KeyProblem> {
    match (kind, value) {
        (_, Value::Null) => return Err(KeyProblem::Null { column }),
        (KeyKind::Integer, Value::Int(v)) => encode_integer(v, out),
        (KeyKind::Text, Value::Text(v)) => encode_escaped(TEXT, v.as_bytes(), out),
        (KeyKind::Bytes, Value::Bytes(v)) => encode_escaped(BYTES, v, out),
        (KeyKind::Bool, Value::Bool(v)) => out.push(if v { TRUE } else { FALSE }),
        (KeyKind::Uuid, Value::Uuid(v)) => {
            out.push(UUID);
            out.extend_from_slice(&v);
        }
        (KeyKind::Date, Value::Date(v)) => {
            out.push(DATE);
            out.extend_from_slice(&ordered(i64::from(v)));
        }
        (KeyKind::Timestamp, Value::Timestamp(v) | Value::LocalTimestamp(v)) => {
            out.push(TIMESTAMP);
            out.extend_from_slice(&ordered(v));
        }
        (expected, other) => return Err(KeyProblem::WrongKind { column, expected, found: other.kind_name() }),
    }
    Ok(())
}

/// Flips the sign bit, so that big-endian bytes order like the numbers.
fn ordered(value: i64) -> [u8; 8] {
    (value.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

/// A length tag around zero, then the significant bytes: small numbers stay short, order is kept.
fn encode_integer(value: i64, out: &mut Vec<u8>) {
    let magnitude = value.unsigned_abs();
    let length = (8 - magnitude.leading_zeros() / 8).min(8) as usize;
    let bytes = if value < 0 { (!magnitude).to_be_bytes() } else { magnitude.to_be_bytes() };
    let tag = INTEGER_ZERO.wrapping_add_signed(if value < 0 { -(length as i8) } else { length as i8 });
    out.push(tag);
    out.extend_from_slice(&bytes[8 - length..]);
}

/// Tag, bytes with 0x00 written as 0x00 0xFF, and a closing 0x00.
fn encode_escaped(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    for &byte in bytes {
        out.push(byte);
        if byte == 0 {
            out.push(0xFF);
        }
    }
    out.push(0);
}

fn decode_part(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (value, tail) = decode_value(bytes)?;
    let text = match value {
        Owned::Bool(v) => v.to_string(),
        Owned::Int(v) => v.to_string(),
        Owned::Text(v) => v,
        Owned::Bytes(v) => format!("\\x{}", hex(&v)),
        Owned::Uuid(v) => uuid_text(&v),
        Owned::Date(days) => date_text(i64::from(days)),
        Owned::Timestamp(micros) => Timestamp::from_micros(micros).precise(),
    };
    Some((text, tail))
}

pub(super) fn decode_value(bytes: &[u8]) -> Option<(Owned, &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    match tag {
        TEXT => decode_escaped(rest).map(|(raw, tail)| (Owned::Text(String::from_utf8_lossy(&raw).into_owned()), tail)),
        BYTES => decode_escaped(rest).map(|(raw, tail)| (Owned::Bytes(raw), tail)),
        FALSE => Some((Owned::Bool(false), rest)),
        TRUE => Some((Owned::Bool(true), rest)),
        UUID => rest.split_first_chunk::<16>().map(|(raw, tail)| (Owned::Uuid(*raw), tail)),
        DATE => {
            let (days, tail) = decode_ordered(rest)?;
            Some((Owned::Date(i32::try_from(days).ok()?), tail))
        }
        TIMESTAMP => decode_ordered(rest).map(|(micros, tail)| (Owned::Timestamp(micros), tail)),
        _ => decode_integer(tag, rest),
    }
}

fn decode_escaped(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut raw = Vec::new();
    let mut at = 0;
    loop {
        match (bytes.get(at)?, bytes.get(at + 1)) {
            (0, Some(0xFF)) => {
                raw.push(0);
                at += 2;
            }
            (0, _) => return Some((raw, bytes.get(at + 1..)?)),
            (&byte, _) => {
                raw.push(byte);
                at += 1;
            }
        }
    }
}

fn decode_ordered(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (raw, tail) = bytes.split_first_chunk::<8>()?;
    Some(((u64::from_be_bytes(*raw) ^ (1 << 63)).cast_signed(), tail))
}

fn decode_integer(tag: u8, rest: &[u8]) -> Option<(Owned, &[u8])> {
    let offset = i16::from(tag) - i16::from(INTEGER_ZERO);
    let length = usize::from(offset.unsigned_abs());
    if length > 8 {
        return None;
    }
    let (raw, tail) = rest.split_at_checked(length)?;
    let mut bytes = if offset < 0 { [0xFF; 8] } else { [0; 8] };
    bytes.get_mut(8 - length..)?.copy_from_slice(raw);
    let value = u64::from_be_bytes(bytes);
    let value = if offset < 0 { 0_i64.checked_sub_unsigned(!value)? } else { i64::try_from(value).ok()? };
    Some((Owned::Int(value), tail))
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or(());
        text
    })
}

fn uuid_text(raw: &[u8; 16]) -> String {
    let hex = hex(raw);
    let groups = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default());
    groups.join("-")
}

fn date_text(days: i64) -> String {
    Timestamp::from_micros(days.saturating_mul(86_400_000_000)).date()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(value: Value<'_>, kind: KeyKind) -> Vec<u8> {
        let mut out = Vec::new();
        encode_part(value, kind, 0, &mut out).unwrap();
        out
    }

    proptest! {
        #[test]
        fn integers_keep_order_and_text(a: i64, b: i64) {
            let (x, y) = (encoded(Value::Int(a), KeyKind::Integer), encoded(Value::Int(b), KeyKind::Integer));
            prop_assert_eq!(x.cmp(&y), a.cmp(&b));
            prop_assert_eq!(Key::from_encoded(&x).to_text(), Some(a.to_string()));
        }

        #[test]
        fn texts_keep_order_in_composites(a: String, b: String, m: i64, n: i64) {
            let pair = |text: &str, number| {
                let mut out = encoded(Value::Text(text), KeyKind::Text);
                encode_part(Value::Int(number), KeyKind::Integer, 1, &mut out).unwrap();
                out
            };
            prop_assert_eq!(pair(&a, m).cmp(&pair(&b, n)), (a.as_bytes(), m).cmp(&(b.as_bytes(), n)));
            prop_assert_eq!(Key::from_encoded(&pair(&a, m)).to_text(), Some(format!("{a}, {m}")));
        }

        #[test]
        fn times_and_bytes_keep_order(a: i64, b: i64, x: Vec<u8>, y: Vec<u8>) {
            let time = |v| encoded(Value::Timestamp(v), KeyKind::Timestamp);
            prop_assert_eq!(time(a).cmp(&time(b)), a.cmp(&b));
            let bytes = |v: &[u8]| encoded(Value::Bytes(v), KeyKind::Bytes);
            prop_assert_eq!(bytes(&x).cmp(&bytes(&y)), x.cmp(&y));
        }

        #[test]
        fn damaged_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Key::from_encoded(&bytes).to_text();
        }
    }

    #[test]
    fn extremes_are_exact() {
        for value in [i64::MIN, i64::MIN + 1, -256, -255, -1, 0, 1, 255, 256, i64::MAX] {
            assert_eq!(
                Key::from_encoded(&encoded(Value::Int(value), KeyKind::Integer)).to_text(),
                Some(value.to_string())
            );
        }
    }

    #[test]
    fn null_and_other_kinds_are_problems() {
        let mut out = Vec::new();
        assert_eq!(encode_part(Value::Null, KeyKind::Text, 1, &mut out), Err(KeyProblem::Null { column: 1 }));
        let problem = encode_part(Value::Text("7"), KeyKind::Integer, 0, &mut out);
        assert_eq!(problem, Err(KeyProblem::WrongKind { column: 0, expected: KeyKind::Integer, found: "text" }));
        assert!(out.is_empty());
    }
}
