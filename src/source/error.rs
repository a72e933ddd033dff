//! What can go wrong while reading a model. Messages name columns and positions, never values.

use crate::model::KeyKind;

/// An error of a source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The source's settings do not make sense (a bad URL, an unreadable file).
    #[error("the source's settings are not usable: {reason}")]
    Settings {
        /// What is wrong.
        reason: String,
    },
    /// No connection could be made.
    #[error("cannot connect")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The model's statement was refused.
    #[error("model `{model}`: the statement was refused: {reason}")]
    Statement {
        /// The model.
        model: String,
        /// The database's words with values removed.
        reason: String,
    },
    /// The model selects two columns of one name, so it cannot be wrapped.
    #[error("model `{model}` selects two columns named `{column}`")]
    DuplicateColumn {
        /// The model.
        model: String,
        /// The name.
        column: String,
    },
    /// A key column is not in the result.
    #[error("model `{model}` has no key column `{column}`")]
    MissingKey {
        /// The model.
        model: String,
        /// The name.
        column: String,
    },
    /// A key column is of a type that cannot be a key.
    #[error("model `{model}`: column `{column}` of type `{source_type}` cannot be a key")]
    UnusableKey {
        /// The model.
        model: String,
        /// The column.
        column: String,
        /// The source's type.
        source_type: String,
    },
    /// The cursor's column is missing, or of a kind that the cursor's place cannot be compared with.
    #[error("model `{model}`: column `{column}` cannot be the cursor: {reason}")]
    UnusableCursor {
        /// The model.
        model: String,
        /// The column.
        column: String,
        /// Why not.
        reason: String,
    },
    /// A key column's kind is not the one that the sync's first run fixed. Refused: repaired by the model or by a new sync.
    #[error("model `{model}`: key column `{column}` is now {found}, but was {expected} at the first run")]
    KeyKindChanged {
        /// The model.
        model: String,
        /// The column.
        column: String,
        /// The kind of the first run.
        expected: KeyKind,
        /// The kind now, in words.
        found: String,
    },
    /// Reading failed before the result was complete.
    #[error("reading model `{model}` failed after {rows} rows: {reason}")]
    Read {
        /// The model.
        model: String,
        /// Rows read before.
        rows: u64,
        /// The database's words with values removed.
        reason: String,
    },
    /// The statement ran longer than its timeout.
    #[error("model `{model}` ran longer than its statement timeout")]
    Timeout {
        /// The model.
        model: String,
    },
    /// The stream ended without the source saying that the result is complete.
    #[error("the result ended before the source said that it was complete")]
    Interrupted,
}

impl SourceError {
    /// What to do about it, where that is not plain from the message.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::UnusableKey { .. } => Some(
                "a key is an integer, text, uuid, bytes, date, timestamp or bool; cast the column in the model, \
                 for example `cast(id as text) as id`",
            ),
            Self::UnusableCursor { .. } => Some(
                "a cursor is a column of integers, dates or timestamps of one kind; cast the column in the model, or name another one",
            ),
            Self::DuplicateColumn { .. } => Some("give each column a name of its own with `as`"),
            Self::Timeout { .. } => Some("raise the model's timeout, or make the statement faster"),
            Self::KeyKindChanged { .. } => Some("cast the column back in the model, or start a new sync"),
            Self::Settings { .. }
            | Self::Connect(_)
            | Self::Statement { .. }
            | Self::MissingKey { .. }
            | Self::Read { .. }
            | Self::Interrupted => None,
        }
    }
}
