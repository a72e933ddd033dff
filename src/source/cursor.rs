//! Where a model is read on from: the cursor's column in the schema, and its value as a literal.

use super::{After, CursorValue, ModelQuery, SourceError};
use crate::model::{Column, ColumnKind, Schema};

/// 0001-01-01 and 9999-12-31 in days since 1970-01-01.
pub(super) const DAYS: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;
/// Midnight of 0001-01-01 and the last microsecond of 9999-12-31.
pub(super) const MICROS: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;
/// Microseconds of a day.
pub(super) const DAY_MICROS: i64 = 86_400_000_000;

impl CursorValue {
    /// What a column must hold for this value, in words.
    const fn wanted(self) -> &'static str {
        match self {
            Self::Int(_) => "an integer",
            Self::Date(_) => "a date",
            Self::Timestamp(_) => "a timestamp",
        }
    }

    /// Whether a column of this kind holds such values.
    const fn fits(self, kind: ColumnKind) -> bool {
        match self {
            Self::Int(_) => matches!(kind, ColumnKind::Int),
            Self::Date(_) => matches!(kind, ColumnKind::Date),
            Self::Timestamp(_) => matches!(kind, ColumnKind::Timestamp | ColumnKind::LocalTimestamp),
        }
    }

    /// The value as SQL text without quotes, in UTC: digits, `YYYY-MM-DD` or `YYYY-MM-DD HH:MM:SS.ffffff`. `None` outside
    /// of years 1 to 9999.
    fn text(self) -> Option<String> {
        match self {
            Self::Int(value) => Some(value.to_string()),
            Self::Date(days) => civil(days).map(|date| date.to_string()),
            Self::Timestamp(micros) => {
                let date = civil(i32::try_from(micros.div_euclid(DAY_MICROS)).ok()?)?;
                let clock = micros.rem_euclid(DAY_MICROS);
                let (seconds, fraction) = (clock / 1_000_000, clock % 1_000_000);
                let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
                Some(format!("{date} {hours:02}:{minutes:02}:{seconds:02}.{fraction:06}"))
            }
        }
    }
}

/// The day of a number of days since 1970-01-01. A calendar's day, because a point in time of this library ends a day before
/// the year 9999 does.
fn civil(days: i32) -> Option<jiff::civil::Date> {
    let span = jiff::Span::new().try_days(days).ok()?;
    DAYS.contains(&days).then(|| jiff::civil::date(1970, 1, 1).checked_add(span).ok()).flatten()
}

/// The column of the query's cursor and the cursor's value as SQL text; `None` when the query has no cursor.
pub(super) fn bound<'a>(query: &ModelQuery, schema: &'a Schema) -> Result<Option<(&'a Column, String)>, SourceError> {
    bound_if(query, schema, CursorValue::fits)
}

/// The same with a source's own idea of which kinds of columns fit.
pub(super) fn bound_if<'a>(
    query: &ModelQuery,
    schema: &'a Schema,
    fits: fn(CursorValue, ColumnKind) -> bool,
) -> Result<Option<(&'a Column, String)>, SourceError> {
    let Some(After { column: name, from }) = &query.after else { return Ok(None) };
    let unusable =
        |reason: String| SourceError::UnusableCursor { model: query.name.clone(), column: name.clone(), reason };
    let column = schema.position(name).and_then(|at| schema.columns.get(at));
    let column = column.ok_or_else(|| unusable("the model has no such column".to_owned()))?;
    if !fits(*from, column.kind) {
        return Err(unusable(format!("got a column of type `{}`, expected {}", column.source_type, from.wanted())));
    }
    let text = from.text().ok_or_else(|| unusable("its place is outside years 1 to 9999".to_owned()))?;
    Ok(Some((column, text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_become_literals() {
        let cases = [
            (CursorValue::Int(i64::MIN), Some("-9223372036854775808")),
            (CursorValue::Date(-1), Some("1969-12-31")),
            (CursorValue::Date(*DAYS.start()), Some("0001-01-01")),
            (CursorValue::Date(*DAYS.end() + 1), None),
            (CursorValue::Timestamp(-1), Some("1969-12-31 23:59:59.999999")),
            (CursorValue::Timestamp(*MICROS.start()), Some("0001-01-01 00:00:00.000000")),
            (CursorValue::Timestamp(*MICROS.end()), Some("9999-12-31 23:59:59.999999")),
            (CursorValue::Timestamp(i64::MIN), None),
        ];
        for (value, expected) in cases {
            assert_eq!(value.text().as_deref(), expected);
        }
    }
}
