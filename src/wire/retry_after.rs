//! How long a vendor asks to wait.

use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, header::RETRY_AFTER};

use crate::model::Timestamp;

/// Longest wait that a vendor can impose.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// The `Retry-After` of an answer at time `now`: seconds, with or without fraction, or an HTTP date (RFC 9110 section
/// 10.2.3). Clamped to 0..=1 h, so that neither an absurd nor a past value does harm; `None` when absent or unreadable.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    seconds(text).or_else(|| until_date(text, now)).map(|wait| wait.min(MAX_RETRY_AFTER))
}

fn seconds(text: &str) -> Option<Duration> {
    let value: f64 = text.parse().ok().filter(|value: &f64| !value.is_nan())?;
    Some(Duration::from_secs_f64(value.clamp(0.0, MAX_RETRY_AFTER.as_secs_f64())))
}

fn until_date(text: &str, now: Timestamp) -> Option<Duration> {
    let at = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some((Timestamp::from_micros(0) + at).since(now))
}
