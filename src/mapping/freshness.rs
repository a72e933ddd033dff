//! The age of a result: the newest value of one column.

use super::{MappingError, cast};
use crate::model::{
    ColumnKind, RowRef, Schema, Value, nearest,
    spec::{Cast, FreshSpec},
};

const DAY_MICROS: i64 = 86_400_000_000;

/// The column of `guard.fresh`, bound to a schema.
#[derive(Debug, Clone, Copy)]
pub struct FreshColumn {
    position: usize,
}

impl FreshColumn {
    /// Binds the column.
    ///
    /// # Errors
    /// The model does not return it, or it holds neither timestamps nor dates nor texts.
    pub fn bind(spec: &FreshSpec, schema: &Schema) -> Result<Self, MappingError> {
        let Some(position) = schema.position(&spec.column) else {
            let nearest = nearest(&spec.column, schema.columns.iter().map(|column| column.name.as_str()));
            return Err(MappingError::MissingFresh {
                column: spec.column.clone(),
                nearest: nearest.map(str::to_owned),
            });
        };
        let found = schema.columns.get(position);
        let fits = |kind| {
            use ColumnKind as K;
            matches!(kind, K::Timestamp | K::LocalTimestamp | K::Date | K::Dynamic | K::Text)
        };
        match found {
            Some(column) if !fits(column.kind) => {
                Err(MappingError::FreshKind { column: spec.column.clone(), source_type: column.source_type.clone() })
            }
            Some(_) | None => Ok(Self { position }),
        }
    }

    /// The instant until which the row's value says the data reach, in microseconds since 1970: a timestamp without time
    /// zone is taken as UTC, a date as the end of its day. `None` without a value.
    pub fn of(self, row: RowRef<'_>) -> Option<i64> {
        match row.cell(self.position) {
            Value::Timestamp(micros) | Value::LocalTimestamp(micros) => Some(micros),
            Value::Date(days) => end_of(days),
            text @ Value::Text(_) => of_text(text),
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Decimal(_)
            | Value::Float(_)
            | Value::Bytes(_)
            | Value::Time(_)
            | Value::Json(_)
            | Value::Uuid(_)
            | Value::Unrepresentable(_) => None,
        }
    }
}

fn end_of(days: i32) -> Option<i64> {
    (i64::from(days) + 1).checked_mul(DAY_MICROS)
}

/// Some databases hold times as ISO 8601 texts; without a zone they are UTC, as SQLite's own functions take them.
fn of_text(text: Value<'_>) -> Option<i64> {
    if let Ok(cast) = cast::cast(text, Cast::Timestamp)
        && let Value::Timestamp(micros) = cast.as_value()
    {
        return Some(micros);
    }
    let Value::Text(plain) = text else { return None };
    if plain.trim().len() > "2026-11-22".len() {
        let zoned = format!("{}Z", plain.trim());
        return super::parse::timestamp(&zoned);
    }
    super::parse::date(plain).and_then(end_of)
}
