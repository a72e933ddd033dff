//! Texts to numbers and times, exactly.

use jiff::{Timestamp, civil};

/// Whole seconds of the first instant of year 1, the smallest year that records hold.
const YEAR_1_SECONDS: i64 = -62_135_596_800;

/// A number written in digits (`-7`, `+7.50`, `.5`), surrounding blanks ignored. No exponent.
pub(super) fn decimal(text: &str) -> Option<String> {
    let text = text.trim();
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = !(whole.is_empty() && fraction.is_empty())
        && whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit());
    is_number.then(|| {
        let whole = if whole.is_empty() { "0" } else { whole };
        let dot = if fraction.is_empty() { "" } else { "." };
        [sign, whole, dot, fraction].concat()
    })
}

/// The nearest float of a number written in digits, with or without an exponent; `None` when it is not finite.
pub(super) fn float(text: &str) -> Option<f64> {
    let text = text.trim();
    let only_digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'));
    only_digits.then(|| text.parse::<f64>().ok()).flatten().filter(|float| float.is_finite())
}

/// Rounds a decimal text half away from zero to `scale` places.
pub(super) fn round(text: &str, scale: usize) -> String {
    let (sign, digits) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let Some((kept, rest)) = fraction.split_at_checked(scale).filter(|(_, rest)| !rest.is_empty()) else {
        return text.to_owned();
    };
    let mut number: Vec<u8> = whole.bytes().chain(kept.bytes()).collect();
    if rest.as_bytes().first().is_some_and(|digit| *digit >= b'5') {
        increment(&mut number);
    }
    let split = number.len().saturating_sub(kept.len());
    let (whole, kept) = number.split_at_checked(split).unwrap_or((&number, &[]));
    let (whole, kept) = (String::from_utf8_lossy(whole), String::from_utf8_lossy(kept));
    let dot = if kept.is_empty() { "" } else { "." };
    [sign, &whole, dot, &kept].concat()
}

/// Adds one to a number in ASCII digits.
fn increment(digits: &mut Vec<u8>) {
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
    digits.insert(0, b'1');
}

/// Microseconds since the epoch of an ISO 8601 date and time with a zone offset or `Z`.
pub(super) fn timestamp(text: &str) -> Option<i64> {
    let at: Timestamp = text.trim().parse().ok()?;
    (at.as_second() >= YEAR_1_SECONDS).then(|| floor_micros(at))
}

/// `as_microsecond` rounds towards zero, which would move instants before 1970 forwards.
fn floor_micros(at: Timestamp) -> i64 {
    i64::try_from(at.as_nanosecond().div_euclid(1000)).unwrap_or_else(|_| at.as_microsecond())
}

/// Days since 1970-01-01 of an ISO 8601 date, or of a date and time: in UTC with a zone, as written without one.
pub(super) fn date(text: &str) -> Option<i32> {
    let text = text.trim();
    if let Some(micros) = timestamp(text) {
        return i32::try_from(micros.div_euclid(86_400_000_000)).ok();
    }
    let date = match text.parse::<civil::Date>() {
        Ok(date) if text.len() == 10 => date,
        Ok(_) | Err(_) => text.parse::<civil::DateTime>().ok()?.date(),
    };
    let epoch = civil::date(1970, 1, 1);
    (date.year() >= 1).then(|| date.duration_since(epoch).as_hours() / 24).and_then(|days| i32::try_from(days).ok())
}
