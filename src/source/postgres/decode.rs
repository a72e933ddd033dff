//! Decoders of PostgreSQL's binary formats (the `*send` functions of `src/backend/utils/adt`).

use super::numeric;
use crate::{
    model::{Unrepresentable, Value},
    source::{
        cursor::{DAY_MICROS, DAYS, MICROS},
        number::widen,
    },
};

/// Days from 1970-01-01 to PostgreSQL's epoch, 2000-01-01.
const EPOCH_DAYS: i32 = 10_957;
/// Microseconds from 1970-01-01 to PostgreSQL's epoch.
const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * DAY_MICROS;

/// How the bytes of a column are read; resolved once a column, before the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decoder {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    Text,
    Bytes,
    Date,
    Time,
    Timestamp,
    LocalTimestamp,
    Uuid,
    Json,
    Jsonb,
}

/// Reused memory for values whose text is made here.
#[derive(Default)]
pub(super) struct Scratch(String);

impl Decoder {
    /// The value of a cell that is not null. Bytes that are not of the type's form are an unknown type.
    #[inline]
    pub(super) fn decode<'a>(self, bytes: &'a [u8], scratch: &'a mut Scratch) -> Value<'a> {
        let unknown = Value::Unrepresentable(Unrepresentable::UnknownType);
        match self {
            Self::Bool => fixed::<1>(bytes).map(|raw| Value::Bool(raw[0] != 0)),
            Self::Int2 => fixed(bytes).map(|raw| Value::Int(i16::from_be_bytes(raw).into())),
            Self::Int4 => fixed(bytes).map(|raw| Value::Int(i32::from_be_bytes(raw).into())),
            Self::Int8 => fixed(bytes).map(|raw| Value::Int(i64::from_be_bytes(raw))),
            Self::Float4 => fixed(bytes).map(|raw| Value::Float(widen(f32::from_be_bytes(raw), &mut scratch.0))),
            Self::Float8 => fixed(bytes).map(|raw| Value::Float(f64::from_be_bytes(raw))),
            Self::Numeric => return numeric::decode(bytes, &mut scratch.0),
            Self::Text => return text(bytes, Value::Text),
            Self::Json => return text(bytes, Value::Json),
            // The first byte is the version of the format, always 1.
            Self::Jsonb => bytes.strip_prefix(&[1]).map(|json| text(json, Value::Json)),
            Self::Bytes => return Value::Bytes(bytes),
            Self::Date => fixed(bytes).map(|raw| date(i32::from_be_bytes(raw))),
            Self::Time => fixed(bytes).map(|raw| time(i64::from_be_bytes(raw))),
            Self::Timestamp => fixed(bytes).map(|raw| instant(i64::from_be_bytes(raw), Value::Timestamp)),
            Self::LocalTimestamp => fixed(bytes).map(|raw| instant(i64::from_be_bytes(raw), Value::LocalTimestamp)),
            Self::Uuid => fixed(bytes).map(Value::Uuid),
        }
        .unwrap_or(unknown)
    }
}

#[inline]
fn fixed<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

#[inline]
fn text<'a>(bytes: &'a [u8], make: impl FnOnce(&'a str) -> Value<'a>) -> Value<'a> {
    std::str::from_utf8(bytes).map_or(Value::Unrepresentable(Unrepresentable::InvalidUtf8), make)
}

/// The extremes of the type stand for the infinities.
fn date(days: i32) -> Value<'static> {
    if days == i32::MIN || days == i32::MAX {
        return Value::Unrepresentable(Unrepresentable::InfiniteTime);
    }
    match days.checked_add(EPOCH_DAYS) {
        Some(days) if DAYS.contains(&days) => Value::Date(days),
        Some(_) | None => Value::Unrepresentable(Unrepresentable::TimeOutOfRange),
    }
}

/// PostgreSQL has a `24:00:00`, which is no time of a day.
fn time(micros: i64) -> Value<'static> {
    if (0..DAY_MICROS).contains(&micros) {
        Value::Time(micros)
    } else {
        Value::Unrepresentable(Unrepresentable::TimeOutOfRange)
    }
}

fn instant(micros: i64, make: impl FnOnce(i64) -> Value<'static>) -> Value<'static> {
    if micros == i64::MIN || micros == i64::MAX {
        return Value::Unrepresentable(Unrepresentable::InfiniteTime);
    }
    match micros.checked_add(EPOCH_MICROS) {
        Some(micros) if MICROS.contains(&micros) => make(micros),
        Some(_) | None => Value::Unrepresentable(Unrepresentable::TimeOutOfRange),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncated_bytes_are_an_unknown_type_and_no_panic() {
        let all = [
            Decoder::Bool,
            Decoder::Int2,
            Decoder::Int4,
            Decoder::Int8,
            Decoder::Float4,
            Decoder::Float8,
            Decoder::Numeric,
            Decoder::Date,
            Decoder::Time,
            Decoder::Timestamp,
            Decoder::LocalTimestamp,
            Decoder::Uuid,
            Decoder::Jsonb,
        ];
        for decoder in all {
            for bytes in [&[][..], &[0; 3], &[0xFF; 17]] {
                let value = decoder.decode(bytes, &mut Scratch::default()).kind_name();
                assert_eq!(value, "unrepresentable", "{decoder:?}");
            }
        }
    }
}
