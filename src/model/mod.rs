//! Plain data shared by every stage of a run: no async, no I/O, no clock.

mod change;
mod counts;
mod cron;
mod cursor;
mod fingerprint;
mod held;
mod key;
mod key_text;
mod key_values;
mod nearest;
mod path;
mod record;
mod rows;
pub mod spec;
mod time;
mod value;

pub use change::{BatchKey, ChangeKind, DirtyMark, Entry, IntentId, Operation, RunId, SyncId};
pub use counts::Counts;
pub use cron::{Cron, CronProblem};
pub use cursor::CursorKind;
pub use fingerprint::{Fingerprint, Fingerprinter};
pub use held::{Held, InvalidCode, InvalidRow, RejectedMark};
pub use key::{Key, KeyKind, KeyProblem, MAX_KEY_BYTES, encode_key, encode_part};
pub use key_text::KeyTextProblem;
pub use key_values::KeyValues;
pub use nearest::nearest;
pub use path::{FieldPath, PathProblem};
pub use record::{
    ENCODING_VERSION, Fields, MAX_RECORD_BYTES, RecordRef, ValueProblem, encode_field, encode_value, put_bytes,
    put_short, put_varint, take_bytes, take_varint,
};
pub use rows::{Column, ColumnKind, RowBatch, RowRef, Schema};
pub use time::Timestamp;
pub use value::{MAX_VALUE_BYTES, Unrepresentable, Value};
