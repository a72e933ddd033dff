//! What HubSpot allows, as constants and rules.

use std::borrow::Cow;

use std::{num::NonZeroU32, time::Duration};

use crate::{
    destination::{Capabilities, Correlation, LookupKind, RowCaps, SyncProblem, Unacceptable},
    mapping::text_len,
    model::{
        Operation, RecordRef, Value,
        spec::{Mode, SyncSpec},
    },
    wire::{Daily, Limits, Window},
};

/// Where the API lives.
pub(crate) const BASE_URL: &str = "https://api.hubapi.com";

/// The token endpoint. Its older form `/oauth/v1/token` ends on 2027-02-16
/// (<https://developers.hubspot.com/changelog/v1-oauth-api-deprecation>).
pub(crate) const TOKEN_PATH: &str = "/oauth/2026-03/token";

/// Most inputs of a batch request.
pub(super) const MAX_ROWS: usize = 100;

/// Most bytes of a request. HubSpot documents no figure; a larger body is answered with a 413 and split anyway.
pub(super) const MAX_BYTES: usize = 2 << 20;

/// Longest value of a text property, in characters.
const MAX_TEXT_CHARS: usize = 65_536;

/// Longest property name.
const MAX_NAME: usize = 100;

pub(super) static CAPABILITIES: Capabilities = Capabilities {
    max_rows: RowCaps::new(MAX_ROWS, MAX_ROWS),
    max_bytes: MAX_BYTES,
    operations: Cow::Borrowed(&[
        Operation::Upsert,
        Operation::Insert,
        Operation::Update,
        Operation::Clear,
        Operation::Delete,
    ]),
    correlation: Correlation::Trace,
    record_ids: true,
    updates_by_id: false,
    idempotency: false,
    // Batch read asks the store, not the search index.
    lookup: LookupKind::Exact,
    can_clear: true,
    max_match_fields: 1,
};

/// The limits of a private app on the smallest plan: 100 requests in 10 s, 250,000 a day, which ends at midnight in the
/// account's zone. An OAuth app has 110 in 10 s for each account that installs it, whatever the plan; searches, which it
/// may make beside them, are not made here. Its requests have no limit a day
/// (<https://developers.hubspot.com/changelog/increasing-our-api-limits>,
/// <https://developers.hubspot.com/changelog/rate-limit-headers-will-now-appear-for-oauth-authenticated-calls>).
pub(crate) fn default_limits(zone: jiff::tz::TimeZone, oauth: bool) -> Limits {
    const WINDOW: NonZeroU32 = NonZeroU32::MIN.saturating_add(99);
    const OAUTH_WINDOW: NonZeroU32 = NonZeroU32::MIN.saturating_add(109);
    const DAY: NonZeroU32 = NonZeroU32::MIN.saturating_add(249_999);
    if oauth {
        return Limits { windows: vec![Window::new(OAUTH_WINDOW, Duration::from_secs(10))], ..Limits::default() };
    }
    Limits {
        windows: vec![Window::new(WINDOW, Duration::from_secs(10))],
        concurrent: None,
        daily: Some(Daily { requests: DAY, zone, reserve_percent: 0 }),
    }
}

/// `contacts` under each of its names.
pub(super) fn is_contacts(object: &str) -> bool {
    matches!(object, "contacts" | "contact" | "0-1")
}

fn is_companies(object: &str) -> bool {
    matches!(object, "companies" | "company" | "0-2")
}

/// Whether HubSpot compares this match field trimmed and in lower case.
pub(super) fn is_email(object: &str, field: &str) -> bool {
    field == "email" && is_contacts(object)
}

/// The form in which HubSpot compares values of a match field: e-mail addresses of contacts are trimmed and lower-cased,
/// unique properties are compared as they are.
pub(super) fn normalise(object: &str, field: &str, value: &str) -> String {
    if is_email(object, field) { value.trim().to_lowercase() } else { value.to_owned() }
}

/// Names that can stand in a path: `contacts`, `0-1`, `2-1234`, `p1234_cars`.
pub(super) fn is_object_name(object: &str) -> bool {
    (1..=MAX_NAME).contains(&object.len())
        && object.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// Checks a sync against what HubSpot can do, without network.
///
/// # Errors
/// The first problem, with the setting that it concerns and what to do.
pub(crate) fn check_sync(sync: &SyncSpec) -> Result<(), SyncProblem> {
    if !is_object_name(&sync.object) {
        let message = "HubSpot objects have names like `contacts`, `0-1` or `p1234_cars`";
        return Err(SyncProblem::new("object", message, "use the object's API name or its type id"));
    }
    if sync.mode == Mode::Append {
        let message = "HubSpot takes no idempotency keys, so an event whose answer is lost could be added twice";
        let hint = "use mode `insert` and match by a property with unique values that holds the event's key";
        return Err(SyncProblem::new("mode", message, hint));
    }
    match sync.match_fields.as_slice() {
        [field] => check_match(&sync.object, field),
        _ => {
            Err(SyncProblem::new("match", "HubSpot finds records by exactly one property", "name one unique property"))
        }
    }
}

fn check_match(object: &str, field: &str) -> Result<(), SyncProblem> {
    const OWN: &str =
        "create a custom property with unique values (for example one that holds the model's key) and match by it";
    if is_companies(object) && field == "domain" {
        return Err(SyncProblem::new("match", "`domain` is not unique among HubSpot companies", OWN));
    }
    if field == "hs_object_id" {
        return Err(SyncProblem::new("match", "`hs_object_id` is given out by HubSpot and cannot be upserted by", OWN));
    }
    check_name(field).map_err(|message| SyncProblem::new("match", message, "use the property's internal name"))
}

fn check_name(name: &str) -> Result<(), &'static str> {
    if name.contains('.') {
        return Err("HubSpot properties do not nest, and their names hold no dot");
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    Err("HubSpot's property names have up to 100 letters, digits and underscores")
}

/// Whether a record can be written as HubSpot properties.
pub(super) fn accepts(record: RecordRef<'_>) -> Result<(), Unacceptable> {
    for (name, value) in record.fields() {
        let reason = check_name(name).err().or_else(|| check_value(value).err());
        if let Some(reason) = reason {
            return Err(Unacceptable { field: name.to_owned(), reason: reason.to_owned() });
        }
    }
    if super::encode::row_len(record) > MAX_BYTES {
        let reason = format!("the record takes more than the {MAX_BYTES} bytes of a request");
        let largest = record.fields().max_by_key(|(_, value)| text_len(*value));
        return Err(Unacceptable { field: largest.map_or("", |(name, _)| name).to_owned(), reason });
    }
    Ok(())
}

fn check_value(value: Value<'_>) -> Result<(), &'static str> {
    match value {
        Value::Bytes(_) => Err("HubSpot properties cannot hold raw bytes; cast the column to text"),
        Value::Text(text) | Value::Json(text)
            if text.len() > MAX_TEXT_CHARS && text.chars().count() > MAX_TEXT_CHARS =>
        {
            Err("longer than the 65,536 characters of a HubSpot property")
        }
        Value::Unrepresentable(_) => Err("a value that cannot be represented"),
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Decimal(_)
        | Value::Float(_)
        | Value::Text(_)
        | Value::Json(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Timestamp(_)
        | Value::LocalTimestamp(_)
        | Value::Uuid(_) => Ok(()),
    }
}
