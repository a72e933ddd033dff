//! Records in canonical form: what the fingerprint is taken of, what the plan spools, what connectors encode.
//!
//! Version 1: for each field in byte order of its name: `varint(len) name tag payload`. Integers and decimals share one
//! normalised text, so that a column may be widened without changing a record. Golden vectors in the tests guard the form.

use std::fmt;

use super::{Unrepresentable, Value};

/// The version of the canonical form that this build writes.
pub const ENCODING_VERSION: u8 = 1;

/// Largest canonical record, in bytes.
pub const MAX_RECORD_BYTES: usize = 4 << 20;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const NUMBER: u8 = 3;
const FLOAT: u8 = 4;
const TEXT: u8 = 5;
const BYTES: u8 = 6;
const DATE: u8 = 7;
const TIME: u8 = 8;
const TIMESTAMP: u8 = 9;
const LOCAL_TIMESTAMP: u8 = 10;
const JSON: u8 = 11;
const UUID: u8 = 12;

/// Why a value cannot be part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueProblem {
    /// The source could not represent it.
    #[error("{0}")]
    Unrepresentable(Unrepresentable),
    /// NaN or an infinity.
    #[error("a float that is NaN or infinite")]
    NotFinite,
}

/// Appends one field to a record. Fields must be appended in byte order of their names.
///
/// # Errors
/// [`ValueProblem`] when the value cannot be part of a record; `out` is then left as it was.
pub fn encode_field(name: &str, value: Value<'_>, out: &mut Vec<u8>) -> Result<(), ValueProblem> {
    let start = out.len();
    put_bytes(name.as_bytes(), out);
    let result = encode_value(value, out);
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Appends one value: tag and payload.
///
/// # Errors
/// [`ValueProblem`] when the value cannot be part of a record; `out` may then hold a part of it.
pub fn encode_value(value: Value<'_>, out: &mut Vec<u8>) -> Result<(), ValueProblem> {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(v) => out.push(if v { TRUE } else { FALSE }),
        Value::Int(v) => tagged(NUMBER, itoa::Buffer::new().format(v).as_bytes(), out),
        Value::Decimal(v) => encode_decimal(v, out),
        Value::Float(v) if !v.is_finite() => return Err(ValueProblem::NotFinite),
        // `+ 0.0` turns -0.0 into 0.0.
        Value::Float(v) => fixed(FLOAT, &(v + 0.0).to_bits().to_be_bytes(), out),
        Value::Text(v) => tagged(TEXT, v.as_bytes(), out),
        Value::Bytes(v) => tagged(BYTES, v, out),
        Value::Date(v) => fixed(DATE, &v.to_be_bytes(), out),
        Value::Time(v) => fixed(TIME, &v.to_be_bytes(), out),
        Value::Timestamp(v) => fixed(TIMESTAMP, &v.to_be_bytes(), out),
        Value::LocalTimestamp(v) => fixed(LOCAL_TIMESTAMP, &v.to_be_bytes(), out),
        Value::Json(v) => tagged(JSON, v.as_bytes(), out),
        Value::Uuid(v) => fixed(UUID, &v, out),
        Value::Unrepresentable(why) => return Err(ValueProblem::Unrepresentable(why)),
    }
    Ok(())
}

fn fixed<const N: usize>(tag: u8, payload: &[u8; N], out: &mut Vec<u8>) {
    out.push(tag);
    out.extend_from_slice(payload);
}

fn tagged(tag: u8, payload: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    put_bytes(payload, out);
}

/// Writes a decimal without leading zeros, trailing fraction zeros or a negative zero: `-007.50` becomes `-7.5`.
/// Works on bytes: a mapping writes tens of millions of these a run.
fn encode_decimal(text: &str, out: &mut Vec<u8>) {
    let (mut negative, mut digits) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    if digits.contains(&b'.') {
        while let [rest @ .., b'0'] = digits {
            digits = rest;
        }
        if let [rest @ .., b'.'] = digits {
            digits = rest;
        }
    }
    while let [b'0', rest @ ..] = digits {
        digits = rest;
    }
    let zero: &[u8] = if matches!(digits, [] | [b'.', ..]) { b"0" } else { b"" };
    negative &= !digits.is_empty();
    out.push(NUMBER);
    put_varint(usize::from(negative) + zero.len() + digits.len(), out);
    if negative {
        out.push(b'-');
    }
    out.extend_from_slice(zero);
    put_short(digits, out);
}

/// Appends a length-prefixed byte string.
pub fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(bytes.len(), out);
    put_short(bytes, out);
}

/// Appends bytes of which there are mostly few. Copies of a length that is known here are single instructions, where a call
/// to copy any length was a quarter of what a record cost.
pub fn put_short(bytes: &[u8], out: &mut Vec<u8>) {
    match bytes.len() {
        0..4 => bytes.iter().for_each(|byte| out.push(*byte)),
        4..8 => put_ends::<4>(bytes, out),
        8..16 => put_ends::<8>(bytes, out),
        16..=32 => put_ends::<16>(bytes, out),
        _ => out.extend_from_slice(bytes),
    }
}

/// Appends `N` to twice `N` bytes by their first and their last `N`, which overlap.
fn put_ends<const N: usize>(bytes: &[u8], out: &mut Vec<u8>) {
    let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) else { return };
    let end = out.len() + bytes.len();
    out.extend_from_slice(first);
    out.truncate(end - N);
    out.extend_from_slice(last);
}

/// Appends an unsigned LEB128 number.
pub fn put_varint(value: usize, out: &mut Vec<u8>) {
    let mut rest = value as u64;
    while rest >= 0x80 {
        out.push((rest & 0x7F) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Takes an unsigned LEB128 number from the front of `bytes`; `None` when they are damaged.
pub fn take_varint(bytes: &mut &[u8]) -> Option<usize> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return usize::try_from(value).ok();
        }
    }
    None
}

/// Takes a length-prefixed byte string from the front of `bytes`; `None` when they are damaged.
pub fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = take_varint(bytes)?;
    let (head, tail) = bytes.split_at_checked(length)?;
    *bytes = tail;
    Some(head)
}

/// A record in canonical form, borrowed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RecordRef<'a>(&'a [u8]);

impl<'a> RecordRef<'a> {
    /// Wraps bytes that [`encode_field`] wrote.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The canonical bytes.
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The fields in order: destination field name and value. Ends early on damaged bytes.
    pub fn fields(&self) -> Fields<'a> {
        Fields { rest: self.0 }
    }

    /// The value of one field; `None` when the record does not have it.
    pub fn get(&self, name: &str) -> Option<Value<'a>> {
        self.fields().find(|(field, _)| *field == name).map(|(_, value)| value)
    }
}

impl fmt::Debug for RecordRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordRef({} bytes)", self.0.len())
    }
}

/// Iterator over a record's fields.
#[derive(Clone)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = (&'a str, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let name = std::str::from_utf8(take_bytes(&mut self.rest)?).ok()?;
        Some((name, take_value(&mut self.rest)?))
    }
}

fn take_value<'a>(bytes: &mut &'a [u8]) -> Option<Value<'a>> {
    let (&tag, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(match tag {
        NULL => Value::Null,
        FALSE => Value::Bool(false),
        TRUE => Value::Bool(true),
        NUMBER => Value::Decimal(take_text(bytes)?),
        FLOAT => Value::Float(f64::from_bits(u64::from_be_bytes(take_array(bytes)?))),
        TEXT => Value::Text(take_text(bytes)?),
        BYTES => Value::Bytes(take_bytes(bytes)?),
        DATE => Value::Date(i32::from_be_bytes(take_array(bytes)?)),
        TIME => Value::Time(i64::from_be_bytes(take_array(bytes)?)),
        TIMESTAMP => Value::Timestamp(i64::from_be_bytes(take_array(bytes)?)),
        LOCAL_TIMESTAMP => Value::LocalTimestamp(i64::from_be_bytes(take_array(bytes)?)),
        JSON => Value::Json(take_text(bytes)?),
        UUID => Value::Uuid(take_array(bytes)?),
        _ => return None,
    })
}

fn take_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    std::str::from_utf8(take_bytes(bytes)?).ok()
}

fn take_array<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = bytes.split_first_chunk::<N>()?;
    *bytes = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(value: Value<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        encode_value(value, &mut out).unwrap();
        out
    }

    #[test]
    fn golden_vector_of_version_1() {
        let mut out = Vec::new();
        let fields = [
            ("a", Value::Null),
            ("b", Value::Bool(true)),
            ("c", Value::Int(-42)),
            ("d", Value::Decimal("-007.50")),
            ("e", Value::Float(1.5)),
            ("f", Value::Text("é")),
            ("g", Value::Date(-1)),
            ("h", Value::Timestamp(1)),
            ("i", Value::Json("{}")),
        ];
        for (name, value) in fields {
            encode_field(name, value, &mut out).unwrap();
        }
        let golden: &[u8] =
            b"\x01a\x00\x01b\x02\x01c\x03\x03-42\x01d\x03\x04-7.5\x01e\x04\x3f\xf8\0\0\0\0\0\0\x01f\x05\x02\xc3\xa9\
            \x01g\x07\xff\xff\xff\xff\x01h\x09\0\0\0\0\0\0\0\x01\x01i\x0b\x02{}";
        assert_eq!(out, golden);
    }

    #[test]
    fn equal_numbers_are_equal_whatever_their_type() {
        assert_eq!(number(Value::Int(5)), number(Value::Decimal("5.00")));
        assert_eq!(number(Value::Decimal("-0.0")), number(Value::Int(0)));
        assert_eq!(number(Value::Decimal("0010")), number(Value::Int(10)));
        assert_ne!(number(Value::Decimal("0.1")), number(Value::Decimal("0.10000000000000001")));
        assert_eq!(number(Value::Float(-0.0)), number(Value::Float(0.0)));
    }

    #[test]
    fn what_cannot_be_a_record_leaves_nothing_behind() {
        let mut out = vec![7];
        assert_eq!(encode_field("x", Value::Float(f64::NAN), &mut out), Err(ValueProblem::NotFinite));
        assert_eq!(out, [7]);
    }

    proptest! {
        #[test]
        fn fields_come_back(names in proptest::collection::btree_set("[a-z.]{0,12}", 0..8), text: String, bytes: Vec<u8>, n: i64) {
            let mut out = Vec::new();
            let values = [Value::Text(&text), Value::Bytes(&bytes), Value::Timestamp(n), Value::Null];
            let fields: Vec<_> = names.iter().zip(values.iter().cycle()).map(|(name, value)| (name.as_str(), *value)).collect();
            for (name, value) in &fields {
                encode_field(name, *value, &mut out).unwrap();
            }
            prop_assert_eq!(RecordRef::new(&out).fields().collect::<Vec<_>>(), fields);
        }

        #[test]
        fn short_bytes_come_whole(before in proptest::collection::vec(any::<u8>(), 0..5), bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let mut out = before.clone();
            put_short(&bytes, &mut out);
            prop_assert_eq!(out, [before, bytes].concat());
        }

        #[test]
        fn damaged_records_never_panic(bytes: Vec<u8>) {
            RecordRef::new(&bytes).fields().for_each(drop);
        }
    }
}
