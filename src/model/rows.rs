//! Batches of rows as the source hands them out: one buffer, cells borrowed from it.

use std::{fmt, sync::Arc};

use super::{KeyKind, Unrepresentable, Value};

/// What a column holds, as far as the source can say before reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ColumnKind {
    /// Truth values.
    Bool,
    /// Integers.
    Int,
    /// Decimals.
    Decimal,
    /// Binary floats.
    Float,
    /// Text, enums, and every type that is read as the source's text rendering.
    Text,
    /// Bytes.
    Bytes,
    /// Dates.
    Date,
    /// Times of day.
    Time,
    /// Instants.
    Timestamp,
    /// Timestamps without a zone.
    LocalTimestamp,
    /// JSON.
    Json,
    /// UUIDs.
    Uuid,
    /// Decided value by value (SQLite).
    Dynamic,
}

/// One column of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The column's name as the source spells it.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
    /// The key kind it would get as a key column; `None` when it cannot be one (floats, JSON, …).
    pub key_kind: Option<KeyKind>,
    /// The source's own name for the type, for messages.
    pub source_type: String,
}

/// The columns of a model's result, in the order of the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The columns; names are unique.
    pub columns: Vec<Column>,
}

impl Schema {
    /// Position of a column by its exact name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

/// A batch of rows in one reusable buffer. Push cells row by row, then read them back borrowed.
pub struct RowBatch {
    schema: Arc<Schema>,
    cells: Vec<Packed>,
    /// Apart from the bytes, so that a text that is read back need not be looked through once more.
    texts: String,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Packed {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Date(i32),
    Time(i64),
    Timestamp(i64),
    LocalTimestamp(i64),
    Unrepresentable(Unrepresentable),
    Decimal(Span),
    Text(Span),
    Bytes(Span),
    Json(Span),
    Uuid(u32),
}

#[derive(Clone, Copy)]
struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// `None` for a value above [`super::MAX_VALUE_BYTES`], and where the buffer is full.
    fn at(start: usize, len: usize) -> Option<Self> {
        let len = u32::try_from(len).ok().filter(|&len| len as usize <= super::MAX_VALUE_BYTES)?;
        Some(Self { start: u32::try_from(start).ok()?, len })
    }
}

impl RowBatch {
    /// An empty batch for rows of `schema`.
    pub fn new(schema: Arc<Schema>) -> Self {
        Self { schema, cells: Vec::new(), texts: String::new(), bytes: Vec::new() }
    }

    /// Empties the batch and keeps its memory.
    pub fn clear(&mut self) {
        self.cells.clear();
        self.texts.clear();
        self.bytes.clear();
    }

    /// The columns.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Number of complete rows.
    pub fn len(&self) -> usize {
        self.cells.len() / self.schema.columns.len().max(1)
    }

    /// True without a complete row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of variable-length values held, to bound a batch.
    pub fn byte_len(&self) -> usize {
        self.texts.len() + self.bytes.len()
    }

    /// Appends the next cell, in column order. Values above [`super::MAX_VALUE_BYTES`] become unrepresentable.
    pub fn push(&mut self, value: Value<'_>) {
        let packed = match value {
            Value::Null => Packed::Null,
            Value::Bool(v) => Packed::Bool(v),
            Value::Int(v) => Packed::Int(v),
            Value::Float(v) => Packed::Float(v),
            Value::Date(v) => Packed::Date(v),
            Value::Time(v) => Packed::Time(v),
            Value::Timestamp(v) => Packed::Timestamp(v),
            Value::LocalTimestamp(v) => Packed::LocalTimestamp(v),
            Value::Unrepresentable(v) => Packed::Unrepresentable(v),
            Value::Decimal(v) => self.text(v, Packed::Decimal),
            Value::Text(v) => self.text(v, Packed::Text),
            Value::Bytes(v) => self.blob(v, Packed::Bytes),
            Value::Json(v) => self.text(v, Packed::Json),
            Value::Uuid(v) => self.blob(&v, |span| Packed::Uuid(span.start)),
        };
        self.cells.push(packed);
    }

    fn text(&mut self, text: &str, pack: impl FnOnce(Span) -> Packed) -> Packed {
        let Some(span) = Span::at(self.texts.len(), text.len()) else {
            return Packed::Unrepresentable(Unrepresentable::TooLarge);
        };
        self.texts.push_str(text);
        pack(span)
    }

    fn blob(&mut self, bytes: &[u8], pack: impl FnOnce(Span) -> Packed) -> Packed {
        let Some(span) = Span::at(self.bytes.len(), bytes.len()) else {
            return Packed::Unrepresentable(Unrepresentable::TooLarge);
        };
        self.bytes.extend_from_slice(bytes);
        pack(span)
    }

    /// The row at `index`, which must be below [`RowBatch::len`].
    pub fn row(&self, index: usize) -> RowRef<'_> {
        let width = self.schema.columns.len();
        let cells = self.cells.get(index * width..(index + 1) * width).unwrap_or_default();
        RowRef { cells, texts: &self.texts, bytes: &self.bytes }
    }

    /// All rows in order.
    pub fn rows(&self) -> impl Iterator<Item = RowRef<'_>> {
        (0..self.len()).map(|index| self.row(index))
    }
}

impl fmt::Debug for RowBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowBatch").field("rows", &self.len()).field("bytes", &self.byte_len()).finish_non_exhaustive()
    }
}

/// One row of a [`RowBatch`].
#[derive(Clone, Copy)]
pub struct RowRef<'a> {
    cells: &'a [Packed],
    texts: &'a str,
    bytes: &'a [u8],
}

impl<'a> RowRef<'a> {
    /// The cell of a column; null when the position is out of range.
    pub fn cell(&self, column: usize) -> Value<'a> {
        match self.cells.get(column).copied().unwrap_or(Packed::Null) {
            Packed::Null => Value::Null,
            Packed::Bool(v) => Value::Bool(v),
            Packed::Int(v) => Value::Int(v),
            Packed::Float(v) => Value::Float(v),
            Packed::Date(v) => Value::Date(v),
            Packed::Time(v) => Value::Time(v),
            Packed::Timestamp(v) => Value::Timestamp(v),
            Packed::LocalTimestamp(v) => Value::LocalTimestamp(v),
            Packed::Unrepresentable(v) => Value::Unrepresentable(v),
            Packed::Decimal(span) => Value::Decimal(self.text(span)),
            Packed::Text(span) => Value::Text(self.text(span)),
            Packed::Bytes(span) => Value::Bytes(self.slice(span)),
            Packed::Json(span) => Value::Json(self.text(span)),
            Packed::Uuid(start) => {
                let slice = self.slice(Span { start, len: 16 });
                slice.try_into().map_or(Value::Unrepresentable(Unrepresentable::UnknownType), Value::Uuid)
            }
        }
    }

    /// Whether the cell of a column is null, without looking into it.
    pub fn is_null(&self, column: usize) -> bool {
        matches!(self.cells.get(column), None | Some(Packed::Null))
    }

    fn slice(&self, span: Span) -> &'a [u8] {
        let start = span.start as usize;
        self.bytes.get(start..start + span.len as usize).unwrap_or_default()
    }

    fn text(&self, span: Span) -> &'a str {
        let start = span.start as usize;
        self.texts.get(start..start + span.len as usize).unwrap_or_default()
    }
}

impl fmt::Debug for RowRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RowRef({} cells)", self.cells.len())
    }
}
