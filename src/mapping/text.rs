//! The one text form of each kind of value.

use std::borrow::Cow;

use crate::model::Value;

const DAY_MICROS: i64 = 86_400_000_000;

/// The text form of a value, the same for equal values whatever type they came in:
///
/// | kind | form |
/// | --- | --- |
/// | null, unrepresentable | the empty text |
/// | boolean | `true`, `false` |
/// | integer, decimal | digits without leading or trailing zeros, no exponent: `-7.5` |
/// | float | the shortest digits that give the same float back; an exponent from 1e21 and below 1e-7 |
/// | text, JSON | as it is |
/// | bytes | `\x` and lower-case hexadecimal digits |
/// | date | `2026-11-22` |
/// | time | `09:30:00`, with `.123` or `.123456` when there are fractions |
/// | timestamp | `2026-11-22T09:30:00Z` in UTC, fractions as for times |
/// | timestamp without time zone | the same without `Z` |
/// | uuid | lower case with hyphens |
pub fn to_text(value: Value<'_>) -> Cow<'_, str> {
    match value {
        Value::Null | Value::Unrepresentable(_) => Cow::Borrowed(""),
        Value::Bool(v) => Cow::Borrowed(if v { "true" } else { "false" }),
        Value::Int(v) => Cow::Owned(itoa::Buffer::new().format(v).to_owned()),
        Value::Decimal(v) => normal_decimal(v),
        Value::Float(v) => Cow::Owned(float(v)),
        Value::Text(v) | Value::Json(v) => Cow::Borrowed(v),
        Value::Bytes(v) => Cow::Owned(format!("\\x{}", hex(v))),
        Value::Date(days) => made(10, |out| put_date(i64::from(days), out)),
        Value::Time(micros) => made(15, |out| put_time(micros, out)),
        Value::Timestamp(micros) => Cow::Owned(date_time(micros) + "Z"),
        Value::LocalTimestamp(micros) => Cow::Owned(date_time(micros)),
        Value::Uuid(raw) => Cow::Owned(uuid(&raw)),
    }
}

fn made<'a>(length: usize, put: impl FnOnce(&mut String)) -> Cow<'a, str> {
    let mut out = String::with_capacity(length);
    put(&mut out);
    Cow::Owned(out)
}

/// Bytes that the [text form](to_text) of a value takes at most, without making it.
pub fn text_len(value: Value<'_>) -> usize {
    match value {
        Value::Null | Value::Unrepresentable(_) => 0,
        Value::Bool(_) => 5,
        Value::Int(_) => 20,
        Value::Decimal(v) => v.len() + 1,
        // 17 digits, a sign, a point, and 7 zeros or an exponent.
        Value::Float(_) => 32,
        Value::Text(v) | Value::Json(v) => v.len(),
        Value::Bytes(v) => 2 + 2 * v.len(),
        Value::Date(_) => 16,
        Value::Time(_) => 20,
        Value::Timestamp(_) | Value::LocalTimestamp(_) => 40,
        Value::Uuid(_) => 36,
    }
}

/// A decimal without leading zeros, trailing fraction zeros and negative zero, as records hold it.
pub(super) fn normal_decimal(text: &str) -> Cow<'_, str> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let (short_whole, short_fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let is_zero = short_whole.is_empty() && short_fraction.is_empty();
    let whole_is_short = whole == "0" || (whole.len() == short_whole.len() && !whole.is_empty());
    let fraction_is_short = short_fraction.len() == fraction.len() && digits.contains('.') != fraction.is_empty();
    if whole_is_short && fraction_is_short && !(negative && is_zero) {
        return Cow::Borrowed(text);
    }
    let sign = if negative && !is_zero { "-" } else { "" };
    let whole = if short_whole.is_empty() { "0" } else { short_whole };
    let dot = if short_fraction.is_empty() { "" } else { "." };
    Cow::Owned([sign, whole, dot, short_fraction].concat())
}

fn float(value: f64) -> String {
    // `+ 0.0` turns -0.0 into 0.0, as in records.
    let value = value + 0.0;
    let size = value.abs();
    if value == 0.0 || (1e-7..1e21).contains(&size) || !value.is_finite() {
        format!("{value}")
    } else {
        format!("{value:e}")
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]).collect()
}

fn uuid(raw: &[u8; 16]) -> String {
    let hex = hex(raw);
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default()).join("-")
}

/// Days since 1970-01-01 as `YYYY-MM-DD` (the civil-from-days algorithm of Howard Hinnant's "chrono-compatible
/// low-level date algorithms"). Digit by digit: the standard formatter takes ten times as long, and a run writes millions.
fn put_date(days: i64, out: &mut String) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    if (0..=9_999).contains(&year) {
        put_two(year / 100, out);
        put_two(year % 100, out);
    } else {
        out.push_str(&format!("{year:04}"));
    }
    out.push('-');
    put_two(month, out);
    out.push('-');
    put_two(day, out);
}

fn put_time(micros: i64, out: &mut String) {
    let (seconds, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    put_two(seconds / 3600, out);
    out.push(':');
    put_two(seconds / 60 % 60, out);
    out.push(':');
    put_two(seconds % 60, out);
    if fraction != 0 {
        out.push('.');
        put_three(fraction / 1000, out);
        if fraction % 1000 != 0 {
            put_three(fraction % 1000, out);
        }
    }
}

fn date_time(micros: i64) -> String {
    let mut out = String::with_capacity(32);
    put_date(micros.div_euclid(DAY_MICROS), &mut out);
    out.push('T');
    put_time(micros.rem_euclid(DAY_MICROS), &mut out);
    out
}

/// Two digits of a number below 100.
fn put_two(number: i64, out: &mut String) {
    put_digit(number / 10, out);
    put_digit(number, out);
}

fn put_three(number: i64, out: &mut String) {
    put_digit(number / 100, out);
    put_two(number, out);
}

/// The last digit of a number that is not negative.
fn put_digit(number: i64, out: &mut String) {
    out.push(char::from(b'0' + u8::try_from(number % 10).unwrap_or(0)));
}
