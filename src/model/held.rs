//! What the state holds for one key, and how rows end.

use super::{DirtyMark, Entry, Fingerprint, Key, Operation, RunId, Timestamp};

/// All that the state holds for one key: the overlay of pages, journal, dirty marks, rejects and quiet keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The key.
    pub key: Key,
    /// The snapshot's entry.
    pub entry: Option<Entry>,
    /// Dirty marks, loaded at the run's start; a settle clears exactly these.
    pub dirty: Vec<DirtyMark>,
    /// The standing reject.
    pub rejected: Option<Box<RejectedMark>>,
    /// Not dirty, but other changes than the entry's wait until then.
    pub quiet_until: Option<Timestamp>,
}

/// A row that the destination refused for a reason of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct RejectedMark {
    /// The refused operation.
    pub operation: Operation,
    /// Fingerprint of the refused record; `None` for removals.
    pub fingerprint: Option<Fingerprint>,
    /// The vendor's code, or ours (`conflict`); safe to show.
    pub code: String,
    /// The vendor's words, masked and then sealed with the installation key.
    pub sealed_message: Box<[u8]>,
    /// Attempts so far.
    pub attempts: u32,
    /// When the unchanged record is tried again; `None`: only when it changes.
    pub next_try: Option<Timestamp>,
    /// When it was first refused.
    pub first_at: Timestamp,
    /// When it was last refused.
    pub last_at: Timestamp,
    /// The run that saw it last.
    pub run: RunId,
}

impl std::fmt::Debug for RejectedMark {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RejectedMark")
            .field("operation", &self.operation)
            .field("code", &self.code)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

/// Why a row cannot be sent at all. Codes are stable: logs, tables and JSON use them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidRow {
    /// The row's key; `None` when it has none that can be encoded.
    pub key: Option<Key>,
    /// A stable code.
    pub code: InvalidCode,
    /// Column or field concerned.
    pub field: Option<String>,
    /// What is wrong, without any value.
    pub detail: String,
    /// The other keys of a colliding group (at most 5).
    pub others: Vec<Key>,
}

/// Why a row is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InvalidCode {
    /// A key column is null.
    NullKey,
    /// A key column holds a value that cannot be encoded as a key.
    UnencodableKey,
    /// Several rows have this key.
    DuplicateKey,
    /// Several keys have this match value.
    MatchConflict,
    /// A match field is null or empty.
    NullMatch,
    /// A field is null and says `when_null = "error"`.
    NullField,
    /// A value cannot be represented or cast.
    BadValue,
    /// The record, or a value in it, is too large.
    TooLarge,
    /// The destination's encoder cannot express the value.
    Unencodable,
    /// A template cannot be rendered.
    BadTemplate,
}

impl InvalidCode {
    /// All codes, for tables.
    pub const ALL: [Self; 10] = [
        Self::NullKey,
        Self::UnencodableKey,
        Self::DuplicateKey,
        Self::MatchConflict,
        Self::NullMatch,
        Self::NullField,
        Self::BadValue,
        Self::TooLarge,
        Self::Unencodable,
        Self::BadTemplate,
    ];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NullKey => "null_key",
            Self::UnencodableKey => "unencodable_key",
            Self::DuplicateKey => "duplicate_key",
            Self::MatchConflict => "match_conflict",
            Self::NullMatch => "null_match",
            Self::NullField => "null_field",
            Self::BadValue => "bad_value",
            Self::TooLarge => "too_large",
            Self::Unencodable => "unencodable",
            Self::BadTemplate => "bad_template",
        }
    }

    /// The inverse of [`InvalidCode::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }
}
