//! `guard` of a sync and of the defaults.

use std::time::Duration;

use super::reader::Reader;
use crate::model::spec::{FreshSpec, GuardSpec};

const MOST: i64 = i64::MAX;
const SECOND: Duration = Duration::from_secs(1);
const YEAR: Duration = Duration::from_secs(366 * 86_400);

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
    share("max_emptied", &mut guard.max_emptied);
    share("max_remapped", &mut guard.max_remapped);
    let count = |key| reader.integer(key, 0, MOST).and_then(|count| u64::try_from(count).ok());
    guard.min_rows = count("min_rows").unwrap_or(guard.min_rows);
    guard.max_removed_rows = count("max_removed_rows").or(guard.max_removed_rows);
    guard.max_changed_rows = count("max_changed_rows").or(guard.max_changed_rows);
    guard.max_added_rows = count("max_added_rows").or(guard.max_added_rows);
    guard.max_invalid_rows = count("max_invalid_rows").or(guard.max_invalid_rows);
    guard.max_emptied_rows = count("max_emptied_rows").or(guard.max_emptied_rows);
    guard.max_remapped_rows = count("max_remapped_rows").or(guard.max_remapped_rows);
    guard.fresh = fresh(&reader).or(guard.fresh);
    reader.finish();
    guard
}

fn fresh(guard: &Reader<'_>) -> Option<FreshSpec> {
    let reader = Reader::of(guard.get("fresh")?, format!("`fresh` in {}", guard.what), guard.sink)?;
    let column = reader.required_text(&["column"], "\"updated_at\"");
    reader.require(&["within"], "\"6h\"");
    let within = reader.duration("within", SECOND, YEAR);
    reader.finish();
    Some(FreshSpec { column: column?, within: within? })
}
