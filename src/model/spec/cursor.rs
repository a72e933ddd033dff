//! Where a sync that appends reads on from.

use std::time::Duration;

/// The cursor of a sync that appends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorSpec {
    /// The model's column: an integer, a date or a timestamp that grows from event to event.
    pub column: String,
    /// How far behind the greatest value read late events may still come.
    pub lookback: Lookback,
    /// Where the first run begins; `None`: at the first row.
    pub start: Option<CursorStart>,
}

/// A stretch of a cursor column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookback {
    /// Of dates (rounded up to days) and timestamps.
    Time(Duration),
    /// Of integers.
    Steps(u32),
}

/// A place on a cursor column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CursorStart {
    /// On an integer column.
    Integer(i64),
    /// On a date or timestamp column: microseconds since 1970-01-01T00:00:00Z.
    Micros(i64),
}
