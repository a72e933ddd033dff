//! `guard` of a sync and of the defaults.

use super::reader::Reader;
use crate::model::spec::GuardSpec;

const MOST: i64 = i64::MAX;

/// Decodes `guard` over the rules that hold without it.
pub(super) fn guard(outer: &Reader<'_>, mut guard: GuardSpec) -> GuardSpec {
    let Some(node) = outer.get("guard") else { return guard };
    let Some(reader) = Reader::of(node, format!("`guard` of {}", outer.what), outer.sink) else { return guard };
    if let Some(stop) = reader.choice("empty", &[("stop", true), ("allow", false)], &[]) {
        guard.stop_on_empty = stop;
    }
    let share = |key, rule: &mut f64| *rule = reader.percent(key).unwrap_or(*rule);
    share("max_removed", &mut guard.max_removed);
    share("max_changed", &mut guard.max_changed);
    share("max_added", &mut guard.max_added);
    share("max_invalid", &mut guard.max_invalid);
    let count = |key| reader.integer(key, 0, MOST).and_then(|count| u64::try_from(count).ok());
    guard.min_rows = count("min_rows").unwrap_or(guard.min_rows);
    guard.max_removed_rows = count("max_removed_rows").or(guard.max_removed_rows);
    guard.max_changed_rows = count("max_changed_rows").or(guard.max_changed_rows);
    guard.max_added_rows = count("max_added_rows").or(guard.max_added_rows);
    guard.max_invalid_rows = count("max_invalid_rows").or(guard.max_invalid_rows);
    reader.reserved(&["max_emptied", "max_remapped", "fresh"]);
    reader.finish();
    guard
}
