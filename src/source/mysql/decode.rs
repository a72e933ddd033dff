//! Decoders of the binary protocol (<https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html>).

use std::fmt::Write;

use crate::{
    model::{Unrepresentable, Value},
    source::{cursor::DAY_MICROS, number::widen},
};

/// How the bytes of a column are read; resolved once a column, before the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decoder {
    /// 1, 2, 4 or 8 bytes, the lowest first.
    Integer {
        /// Without a sign.
        unsigned: bool,
    },
    /// Up to 64 bits, the highest byte first.
    Bits,
    Float,
    Double,
    /// Digits as text; `zerofill` puts zeros before them.
    Decimal,
    Text,
    Json,
    Bytes,
    Date,
    /// `timestamp`, in the session's zone, which is UTC.
    Timestamp,
    /// `datetime`.
    LocalTimestamp,
}

/// Reused memory for values whose text is made here.
#[derive(Default)]
pub(super) struct Scratch(String);

impl Decoder {
    /// The value of a cell that is not null. Bytes that are not of the type's form are an unknown type.
    #[inline]
    pub(super) fn decode<'a>(self, bytes: &'a [u8], scratch: &'a mut Scratch) -> Value<'a> {
        match self {
            Self::Integer { unsigned: false } => signed(bytes).map(Value::Int),
            Self::Integer { unsigned: true } => unsigned(bytes.iter().rev()).map(|value| integer(value, scratch)),
            Self::Bits => unsigned(bytes.iter()).map(|value| integer(value, scratch)),
            Self::Float => {
                let raw = bytes.try_into().ok().map(f32::from_le_bytes);
                raw.map(|value| Value::Float(widen(value, &mut scratch.0)))
            }
            Self::Double => bytes.try_into().ok().map(|raw| Value::Float(f64::from_le_bytes(raw))),
            Self::Decimal => decimal(bytes),
            Self::Text => return text(bytes, Value::Text),
            Self::Json => return text(bytes, Value::Json),
            Self::Bytes => return Value::Bytes(bytes),
            Self::Date => date_time(bytes).map(|at| at.map_or(NO_TIME, |(days, _)| Value::Date(days))),
            Self::Timestamp => date_time(bytes).map(|at| instant(at, Value::Timestamp)),
            Self::LocalTimestamp => date_time(bytes).map(|at| instant(at, Value::LocalTimestamp)),
        }
        .unwrap_or(Value::Unrepresentable(Unrepresentable::UnknownType))
    }
}

/// Zero dates (`0000-00-00`, `2026-00-01`, `2026-02-31`) and the year 0.
const NO_TIME: Value<'static> = Value::Unrepresentable(Unrepresentable::TimeOutOfRange);

#[inline]
fn text<'a>(bytes: &'a [u8], make: impl FnOnce(&'a str) -> Value<'a>) -> Value<'a> {
    std::str::from_utf8(bytes).map_or(Value::Unrepresentable(Unrepresentable::InvalidUtf8), make)
}

/// By length and not by type: the server may widen a column of a subselect.
#[inline]
fn signed(bytes: &[u8]) -> Option<i64> {
    match *bytes {
        [a] => Some(i8::from_le_bytes([a]).into()),
        [a, b] => Some(i16::from_le_bytes([a, b]).into()),
        [a, b, c, d] => Some(i32::from_le_bytes([a, b, c, d]).into()),
        _ => bytes.try_into().ok().map(i64::from_le_bytes),
    }
}

/// At most eight bytes, the highest first.
#[inline]
fn unsigned<'a>(bytes: impl ExactSizeIterator<Item = &'a u8>) -> Option<u64> {
    (1..=8).contains(&bytes.len()).then(|| bytes.fold(0, |value, &byte| value << 8 | u64::from(byte)))
}

/// Above the range of 64 bits with a sign it is a decimal.
#[inline]
fn integer(value: u64, scratch: &mut Scratch) -> Value<'_> {
    if let Ok(value) = i64::try_from(value) {
        return Value::Int(value);
    }
    scratch.0.clear();
    match write!(scratch.0, "{value}") {
        Ok(()) => Value::Decimal(&scratch.0),
        Err(_) => Value::Unrepresentable(Unrepresentable::UnknownType),
    }
}

fn decimal(bytes: &[u8]) -> Option<Value<'_>> {
    let digits = std::str::from_utf8(bytes).ok()?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
    let filled = digits.bytes().zip(digits.bytes().skip(1)).take_while(|&(a, b)| a == b'0' && b.is_ascii_digit());
    if !plain || digits.is_empty() { None } else { digits.get(filled.count()..).map(Value::Decimal) }
}

/// Days since 1970-01-01 and microseconds of that day; `Some(None)` for a date that no calendar has.
#[inline]
fn date_time(bytes: &[u8]) -> Option<Option<(i32, i64)>> {
    let (&length, rest) = bytes.split_first()?;
    if usize::from(length) != rest.len() {
        return None;
    }
    let (date, clock) = match *rest {
        [] => return Some(None),
        [a, b, month, day] => ((a, b, month, day), 0),
        [a, b, month, day, h, m, s] => ((a, b, month, day), micros(h, m, s, 0)),
        [a, b, month, day, h, m, s, w, x, y, z] => {
            ((a, b, month, day), micros(h, m, s, u32::from_le_bytes([w, x, y, z])))
        }
        _ => return None,
    };
    let days = days(u16::from_le_bytes([date.0, date.1]), date.2, date.3);
    Some(days.filter(|_| (0..DAY_MICROS).contains(&clock)).map(|days| (days, clock)))
}

fn micros(hour: u8, minute: u8, second: u8, fraction: u32) -> i64 {
    ((i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second)) * 1_000_000 + i64::from(fraction)
}

fn instant(at: Option<(i32, i64)>, make: impl FnOnce(i64) -> Value<'static>) -> Value<'static> {
    at.map_or(NO_TIME, |(days, clock)| make(i64::from(days) * DAY_MICROS + clock))
}

/// Days since 1970-01-01 (the days-from-civil algorithm of Howard Hinnant's "chrono-compatible low-level date algorithms");
/// `None` when the calendar has no such day or the year is not 1 to 9999.
fn days(year: u16, month: u8, day: u8) -> Option<i32> {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=9999).contains(&year) || !(1..=last).contains(&day) {
        return None;
    }
    let (month, day) = (i32::from(month), i32::from(day));
    let year = i32::from(year) - i32::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::cursor::DAYS;

    #[test]
    fn calendars_agree() {
        let mut date = jiff::civil::date(1, 1, 1);
        for expected in DAYS {
            let (year, month, day) = (date.year().cast_unsigned(), date.month() as u8, date.day() as u8);
            assert_eq!(days(year, month, day), Some(expected), "{date}");
            date = date.tomorrow().unwrap_or(date);
        }
    }

    #[test]
    fn days_that_no_calendar_has_are_none() {
        for (year, month, day) in [(0, 0, 0), (0, 1, 1), (2026, 0, 1), (2026, 1, 0), (2026, 2, 29), (1900, 2, 29)] {
            assert_eq!(days(year, month, day), None);
        }
        assert_eq!((days(2000, 2, 29), days(10_000, 1, 1), days(2026, 13, 1)), (Some(11_016), None, None));
    }

    #[test]
    fn damaged_bytes_are_an_unknown_type_and_no_panic() {
        let all = [
            Decoder::Integer { unsigned: false },
            Decoder::Integer { unsigned: true },
            Decoder::Bits,
            Decoder::Float,
            Decoder::Double,
            Decoder::Decimal,
            Decoder::Date,
            Decoder::Timestamp,
            Decoder::LocalTimestamp,
        ];
        for decoder in all {
            for bytes in [&[][..], &[0xFF; 17], &[5, 1, 1]] {
                if decoder == Decoder::Bits && bytes.len() == 3
                    || matches!(decoder, Decoder::Integer { unsigned: true }) && bytes.len() == 3
                {
                    continue;
                }
                let value = decoder.decode(bytes, &mut Scratch::default()).kind_name();
                assert_eq!(value, "unrepresentable", "{decoder:?}");
            }
        }
    }

    #[test]
    fn zeros_before_a_decimal_go() {
        for (raw, expected) in [("000012.50", "12.50"), ("00.5", "0.5"), ("0", "0"), ("-0.50", "-0.50"), ("00", "0")] {
            let mut scratch = Scratch::default();
            let Value::Decimal(text) = Decoder::Decimal.decode(raw.as_bytes(), &mut scratch) else { panic!("{raw}") };
            assert_eq!(text, expected);
        }
    }
}
