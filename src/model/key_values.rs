//! A key's columns as values again, to address a record by a match value that is made of the key.

use super::{Key, Value, key};

/// The decoded columns of a key.
#[derive(Clone, PartialEq)]
pub struct KeyValues(Vec<Owned>);

#[derive(Clone, PartialEq)]
pub(super) enum Owned {
    Bool(bool),
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
    Uuid([u8; 16]),
    Date(i32),
    Timestamp(i64),
}

impl KeyValues {
    /// The columns of a key; `None` when its bytes are damaged.
    pub fn decode(key: &Key) -> Option<Self> {
        let mut rest = key.as_bytes();
        let mut values = Vec::new();
        while !rest.is_empty() {
            let (value, tail) = key::decode_value(rest)?;
            values.push(value);
            rest = tail;
        }
        Some(Self(values))
    }

    /// The value of one column.
    pub fn get(&self, position: usize) -> Option<Value<'_>> {
        self.0.get(position).map(|value| match value {
            Owned::Bool(v) => Value::Bool(*v),
            Owned::Int(v) => Value::Int(*v),
            Owned::Text(v) => Value::Text(v),
            Owned::Bytes(v) => Value::Bytes(v),
            Owned::Uuid(v) => Value::Uuid(*v),
            Owned::Date(v) => Value::Date(*v),
            Owned::Timestamp(v) => Value::Timestamp(*v),
        })
    }
}

impl std::fmt::Debug for KeyValues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyValues({})", self.0.len())
    }
}
