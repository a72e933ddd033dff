//! Values of rows and records, borrowed from the buffer that holds them.

use std::fmt;

/// One value: a cell of a source row, or a field of a record. Borrowed, so that unchanged rows cost no allocation.
///
/// In a record, [`Value::Null`] means "clear this field at the destination"; a field that is to be skipped is absent.
#[derive(Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// SQL null.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer of any width up to 64 bits; wider ones arrive as [`Value::Decimal`].
    Int(i64),
    /// A decimal number as text, never through a float: optional `-`, digits, optional fraction. No exponent.
    Decimal(&'a str),
    /// A binary float. May be NaN or infinite; those cannot be part of a record.
    Float(f64),
    /// Text.
    Text(&'a str),
    /// Raw bytes.
    Bytes(&'a [u8]),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// An instant: microseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// A date and time without a zone: microseconds since 1970-01-01T00:00:00 of an unknown zone.
    LocalTimestamp(i64),
    /// A JSON text as the source normalises it.
    Json(&'a str),
    /// A UUID.
    Uuid([u8; 16]),
    /// A value that the source holds but that cannot be represented; it makes the row invalid when mapped.
    Unrepresentable(Unrepresentable),
}

/// Why a source value cannot be represented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unrepresentable {
    /// A text that is not UTF-8 (possible in SQLite).
    InvalidUtf8,
    /// An infinite date or timestamp.
    InfiniteTime,
    /// A date or time out of the range that microseconds in 64 bits and years 1 to 9999 can hold.
    TimeOutOfRange,
    /// A decimal that is `NaN` or infinite.
    NotANumber,
    /// A single value above [`MAX_VALUE_BYTES`].
    TooLarge,
    /// A type that the source cannot decode.
    UnknownType,
}

/// Largest single value that is read, in bytes; a larger one makes its row invalid (and keeps memory flat).
pub const MAX_VALUE_BYTES: usize = 1 << 20;

impl fmt::Display for Unrepresentable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidUtf8 => "text that is not valid UTF-8",
            Self::InfiniteTime => "an infinite date or timestamp",
            Self::TimeOutOfRange => "a date or time that no calendar has, or outside years 1 to 9999",
            Self::NotANumber => "a number that is NaN or infinite",
            Self::TooLarge => "a value larger than 1 MiB",
            Self::UnknownType => "a value of a type that cannot be decoded",
        })
    }
}

impl Value<'_> {
    /// True for [`Value::Null`].
    pub const fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The kind's name, for messages.
    pub const fn kind_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) => "integer",
            Self::Decimal(_) => "decimal",
            Self::Float(_) => "float",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
            Self::Date(_) => "date",
            Self::Time(_) => "time",
            Self::Timestamp(_) => "timestamp",
            Self::LocalTimestamp(_) => "timestamp without time zone",
            Self::Json(_) => "json",
            Self::Uuid(_) => "uuid",
            Self::Unrepresentable(_) => "unrepresentable",
        }
    }
}

impl fmt::Debug for Value<'_> {
    /// Prints the kind only: values never reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}>", self.kind_name())
    }
}
