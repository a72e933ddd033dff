//! Plain data shared by every stage of a run: no async, no I/O, no clock.

mod key;
mod rows;
mod time;
mod value;

pub use key::{Key, KeyKind, KeyProblem, MAX_KEY_BYTES, encode_key, encode_part};
pub use rows::{Column, ColumnKind, RowBatch, RowRef, Schema};
pub use time::Timestamp;
pub use value::{MAX_VALUE_BYTES, Unrepresentable, Value};
