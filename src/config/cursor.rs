//! `cursor` of a sync that appends.

use std::time::Duration;

use super::{
    reader::Reader,
    scalar,
    tree::{Item, Node},
};
use crate::model::spec::{CursorSpec, CursorStart, Lookback};

const LONGEST: Duration = Duration::from_secs(366 * 86_400);

/// Decodes `cursor = { column, lookback, start }`.
pub(super) fn cursor(reader: &Reader<'_>) -> Option<CursorSpec> {
    let node = reader.get("cursor")?;
    let inner = Reader::of(node, format!("`cursor` of {}", reader.what), reader.sink)?;
    inner.require(&["column"], "\"occurred_at\"");
    inner.require(&["lookback"], "\"1h\"");
    let column = inner.text("column");
    let lookback = inner.get("lookback").and_then(|node| lookback(&inner, node));
    let start = inner.get("start").map(|node| start(&inner, node));
    inner.finish();
    let start = match start {
        Some(None) => return None,
        Some(start) => start,
        None => None,
    };
    Some(CursorSpec { column: column?, lookback: lookback?, start })
}

fn lookback(reader: &Reader<'_>, node: &Node) -> Option<Lookback> {
    const HINT: &str = "write a duration such as \"1h\" for dates and timestamps, or a whole number for integers";
    let found = match &node.value {
        Item::Int(steps) => u32::try_from(*steps).ok().map(Lookback::Steps),
        Item::Text(text) => scalar::duration(text).filter(|length| *length <= LONGEST).map(Lookback::Time),
        _ => {
            reader.wrong("lookback", node, "a duration or a whole number", HINT);
            return None;
        }
    };
    if found.is_none() {
        reader.refuse("lookback", node, "expected a duration up to 366d, or a whole number from 0 to 4294967295", HINT);
    }
    found
}

fn start(reader: &Reader<'_>, node: &Node) -> Option<CursorStart> {
    const HINT: &str = "write \"2026-01-01\", \"2026-01-01T00:00:00Z\", or a whole number for an integer column";
    let found = match &node.value {
        Item::Int(place) => return Some(CursorStart::Integer(*place)),
        Item::Text(text) => instant(text),
        _ => {
            reader.wrong("start", node, "a quoted date, a quoted instant or a whole number", HINT);
            return None;
        }
    };
    if found.is_none() {
        reader.refuse("start", node, "expected a date, an instant with its zone, or a whole number", HINT);
    }
    found
}

/// A date (its midnight in UTC) or an instant.
fn instant(text: &str) -> Option<CursorStart> {
    let date = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    let at = if text.len() == "2026-01-01".len() { date()?.timestamp() } else { text.parse().ok()? };
    Some(CursorStart::Micros(at.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants() {
        assert_eq!(instant("1970-01-02"), Some(CursorStart::Micros(86_400_000_000)));
        assert_eq!(instant("1970-01-01T00:00:01+01:00"), Some(CursorStart::Micros(-3_599_000_000)));
        for wrong in ["", "yesterday", "1970-01-01T00:00:00", "1970-13-01"] {
            assert_eq!(instant(wrong), None, "{wrong}");
        }
    }
}
