//! Reading on from a place of a cursor column, in a database that has no type for times.

use super::describe::quoted;
use crate::{
    model::{ColumnKind, Schema},
    source::{CursorValue, ModelQuery, SourceError, cursor},
};

/// The condition of the query's cursor. Rows whose cursor cannot be judged are read too, so that they are seen.
pub(super) fn condition(query: &ModelQuery, schema: &Schema) -> Result<Option<String>, SourceError> {
    let Some((column, _)) = cursor::bound_if(query, schema, fits)? else { return Ok(None) };
    let name = quoted(query, &column.name)?;
    Ok(query.after.as_ref().map(|after| match after.from {
        CursorValue::Int(value) => format!("m.{name} >= {value}"),
        CursorValue::Date(days) => since(&name, i64::from(days) * cursor::DAY_MICROS),
        CursorValue::Timestamp(micros) => since(&name, micros),
    }))
}

/// SQLite has no type for times: they are ISO texts in columns of any declared type. A number may be anything (seconds,
/// milliseconds, a Julian day), so that columns declared for numbers are refused.
fn fits(value: CursorValue, kind: ColumnKind) -> bool {
    match value {
        CursorValue::Int(_) => matches!(kind, ColumnKind::Int | ColumnKind::Dynamic),
        CursorValue::Date(_) | CursorValue::Timestamp(_) => matches!(kind, ColumnKind::Text | ColumnKind::Dynamic),
    }
}

/// Compares an ISO text (`YYYY-MM-DD`, then optionally `T` or a space and `HH:MM` or `HH:MM:SS[.ffffff]`, then optionally
/// `Z` or `±HH:MM`) by the microsecond: SQLite's own functions know milliseconds at most
/// (<https://www.sqlite.org/lang_datefunc.html>).
fn since(name: &str, micros: i64) -> String {
    let name = format!("m.{name}");
    let zone = format!(
        "case when length({name}) > 19 and substr({name}, -6, 1) in ('+', '-') then substr({name}, -6) else '' end"
    );
    let seconds = format!("unixepoch(substr({name}, 1, 19) || {zone})");
    let fraction = format!("cast(round(cast('0' || substr({name}, 20) as real) * 1000000) as integer)");
    let date = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*";
    let iso = format!("typeof({name}) = 'text' and {name} glob '{date}'");
    format!("coalesce(case when {iso} then {seconds} * 1000000 + {fraction} end >= {micros}, {name} is not null)")
}
