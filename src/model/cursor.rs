//! Places on a cursor column: how far a sync that appends has read.

use serde::{Deserialize, Serialize};

use super::{ColumnKind, Value};

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// What a cursor column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CursorKind {
    /// Integers.
    Integer,
    /// Dates: places are days since 1970-01-01.
    Date,
    /// Timestamps with or without a zone (then in UTC): places are microseconds since 1970-01-01.
    Timestamp,
}

impl CursorKind {
    /// The kind of a column; `None` when it cannot be a cursor. A column without types of its own (SQLite) holds integers.
    pub const fn of(column: ColumnKind) -> Option<Self> {
        match column {
            ColumnKind::Int | ColumnKind::Dynamic => Some(Self::Integer),
            ColumnKind::Date => Some(Self::Date),
            ColumnKind::Timestamp | ColumnKind::LocalTimestamp => Some(Self::Timestamp),
            ColumnKind::Bool
            | ColumnKind::Decimal
            | ColumnKind::Float
            | ColumnKind::Text
            | ColumnKind::Bytes
            | ColumnKind::Time
            | ColumnKind::Json
            | ColumnKind::Uuid => None,
        }
    }

    /// The place of a value; `None` when it is of another kind.
    pub const fn place(self, value: Value<'_>) -> Option<i64> {
        match (self, value) {
            (Self::Integer, Value::Int(place)) => Some(place),
            (Self::Date, Value::Date(days)) => Some(days as i64),
            (Self::Timestamp, Value::Timestamp(micros) | Value::LocalTimestamp(micros)) => Some(micros),
            (Self::Integer | Self::Date | Self::Timestamp, _) => None,
        }
    }

    /// The place of an instant; `None` for integers.
    pub const fn of_micros(self, micros: i64) -> Option<i64> {
        match self {
            Self::Integer => None,
            Self::Date => Some(micros.div_euclid(DAY)),
            Self::Timestamp => Some(micros),
        }
    }

    /// A duration in steps of this kind, rounded up; `None` for integers.
    pub fn steps(self, duration: std::time::Duration) -> Option<i64> {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        match self {
            Self::Integer => None,
            Self::Date => Some(micros / DAY + i64::from(micros % DAY > 0)),
            Self::Timestamp => Some(micros),
        }
    }

    /// The name, for messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Integer => "integer",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn places_and_steps() {
        assert_eq!(CursorKind::Integer.place(Value::Int(-3)), Some(-3));
        assert_eq!(CursorKind::Date.place(Value::Date(2)), Some(2));
        assert_eq!(CursorKind::Timestamp.place(Value::LocalTimestamp(7)), Some(7));
        assert_eq!(CursorKind::Integer.place(Value::Text("3")), None);
        assert_eq!(CursorKind::Date.of_micros(-1), Some(-1));
        assert_eq!(CursorKind::Date.steps(Duration::from_secs(86_401)), Some(2));
        assert_eq!(CursorKind::Timestamp.steps(Duration::from_secs(1)), Some(1_000_000));
        assert_eq!(CursorKind::Integer.steps(Duration::ZERO), None);
    }
}
