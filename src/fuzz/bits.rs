//! Values drawn from bytes; what is missing at their end counts as zero.

use crate::model::{KeyKind, Unrepresentable, Value};

/// Draws values from bytes.
pub(super) struct Bits<'a>(pub(super) &'a [u8]);

const KINDS: [KeyKind; 7] =
    [KeyKind::Integer, KeyKind::Text, KeyKind::Uuid, KeyKind::Bytes, KeyKind::Date, KeyKind::Timestamp, KeyKind::Bool];

impl<'a> Bits<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        let (head, tail) = self.0.split_at(N.min(self.0.len()));
        self.0 = tail;
        let mut array = [0; N];
        array[..head.len()].copy_from_slice(head);
        array
    }

    pub(super) fn number(&mut self) -> i64 {
        i64::from_le_bytes(self.array())
    }

    /// At most 255 bytes.
    pub(super) fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte());
        let (head, tail) = self.0.split_at(length.min(self.0.len()));
        self.0 = tail;
        head
    }

    pub(super) fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    pub(super) fn kind(&mut self) -> KeyKind {
        KINDS[usize::from(self.byte()) % KINDS.len()]
    }

    /// A decimal as sources give it: digits, perhaps a sign and a fraction.
    fn decimal(&mut self) -> String {
        let digits = |bytes: &[u8]| bytes.iter().map(|byte| char::from(b'0' + byte % 10)).collect::<String>();
        let sign = if self.byte().is_multiple_of(2) { "" } else { "-" };
        let whole = digits(self.bytes());
        let fraction = digits(self.bytes());
        match (whole.is_empty(), fraction.is_empty()) {
            (true, _) => format!("{sign}0"),
            (false, true) => format!("{sign}{whole}"),
            (false, false) => format!("{sign}{whole}.{fraction}"),
        }
    }

    /// A value of any kind.
    pub(super) fn value(&mut self) -> Drawn {
        match self.byte() % 14 {
            0 => Drawn::Null,
            1 => Drawn::Bool(self.byte() % 2 == 1),
            2 => Drawn::Int(self.number()),
            3 => Drawn::Decimal(self.decimal()),
            4 => Drawn::Float(f64::from_le_bytes(self.array())),
            5 => Drawn::Text(self.text()),
            6 => Drawn::Bytes(self.bytes().to_vec()),
            7 => Drawn::Date(i32::from_le_bytes(self.array())),
            8 => Drawn::Time(self.number()),
            9 => Drawn::Timestamp(self.number()),
            10 => Drawn::LocalTimestamp(self.number()),
            11 => Drawn::Json(self.text()),
            12 => Drawn::Uuid(self.array()),
            _ => Drawn::Unrepresentable,
        }
    }
}

/// A value with its own bytes.
pub(super) enum Drawn {
    Null,
    Bool(bool),
    Int(i64),
    Decimal(String),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Date(i32),
    Time(i64),
    Timestamp(i64),
    LocalTimestamp(i64),
    Json(String),
    Uuid([u8; 16]),
    Unrepresentable,
}

impl Drawn {
    pub(super) fn as_value(&self) -> Value<'_> {
        match self {
            Self::Null => Value::Null,
            Self::Bool(v) => Value::Bool(*v),
            Self::Int(v) => Value::Int(*v),
            Self::Decimal(v) => Value::Decimal(v),
            Self::Float(v) => Value::Float(*v),
            Self::Text(v) => Value::Text(v),
            Self::Bytes(v) => Value::Bytes(v),
            Self::Date(v) => Value::Date(*v),
            Self::Time(v) => Value::Time(*v),
            Self::Timestamp(v) => Value::Timestamp(*v),
            Self::LocalTimestamp(v) => Value::LocalTimestamp(*v),
            Self::Json(v) => Value::Json(v),
            Self::Uuid(v) => Value::Uuid(*v),
            Self::Unrepresentable => Value::Unrepresentable(Unrepresentable::InvalidUtf8),
        }
    }
}
