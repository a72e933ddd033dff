//! `limits` of a destination.

use std::time::Duration;

use super::{
    reader::Reader,
    tree::{Item, Node},
};
use crate::model::spec::{LimitsSpec, WindowSpec};

const MOST: i64 = 1_000_000_000;

/// Decodes `limits`: one table, or a list of tables.
pub(super) fn limits(outer: &Reader<'_>) -> LimitsSpec {
    let mut limits = LimitsSpec::default();
    let Some(node) = outer.get("limits") else { return limits };
    match &node.value {
        Item::Array(items) => items.iter().for_each(|item| add(outer, item, &mut limits)),
        _ => add(outer, node, &mut limits),
    }
    limits
}

fn add(outer: &Reader<'_>, node: &Node, limits: &mut LimitsSpec) {
    let Some(reader) = Reader::of(node, format!("`limits` of {}", outer.what), outer.sink) else { return };
    limits.windows.extend(window(&reader));
    let concurrent = reader.integer("concurrent", 1, 1000).and_then(|count| u32::try_from(count).ok());
    let daily = reader.integer("daily", 1, MOST).and_then(|count| u64::try_from(count).ok());
    let reserve = reader.percent("reserve").and_then(|percent| reserve(&reader, percent));
    once(&reader, "concurrent", &mut limits.concurrent, concurrent);
    once(&reader, "daily", &mut limits.daily, daily);
    once(&reader, "reserve", &mut limits.reserve_percent, reserve);
    reader.reserved(&["weights", "timezone", "class"]);
    reader.finish();
}

fn window(reader: &Reader<'_>) -> Option<WindowSpec> {
    let requests = reader.integer("requests", 1, MOST);
    let per = reader.duration("per", Duration::from_millis(100), Duration::from_secs(86_400));
    let smooth = reader.boolean("smooth");
    match (reader.has("requests"), reader.has("per")) {
        (true, false) => reader.missing(&["per"], "\"10s\""),
        (false, true) => reader.missing(&["requests"], "100"),
        (false, false) if smooth.is_some() => reader.missing(&["requests"], "100"),
        (true, true) | (false, false) => {}
    }
    Some(WindowSpec { requests: u32::try_from(requests?).ok()?, per: per?, smooth: smooth.unwrap_or(false) })
}

fn reserve(reader: &Reader<'_>, percent: f64) -> Option<u8> {
    let whole = (0_u8..=99).find(|whole| f64::from(*whole) == percent);
    if let (None, Some(node)) = (whole, reader.get("reserve")) {
        let cause = "expected a whole percentage below 100 %";
        reader.refuse("reserve", node, cause, "a reserve of \"100%\" would leave nothing to send with");
    }
    whole
}

fn once<T>(reader: &Reader<'_>, key: &'static str, slot: &mut Option<T>, value: Option<T>) {
    if let (Some(_), Some(_), Some(node)) = (&slot, &value, reader.get(key)) {
        reader.refuse(key, node, "another table of the list has it already", "write it once");
    } else if value.is_some() {
        *slot = value;
    }
}
