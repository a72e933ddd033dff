//! Sources: one statement, one snapshot, rows in key order, in batches of borrowed cells.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::model::{KeyKind, RowBatch, Schema};

mod batches;
mod config;
mod cursor;
mod error;
mod mysql;
mod number;
mod postgres;
mod reading;
mod sql;
mod sqlite;

pub use config::{
    ServerConnection, ServerParts, ServerSettings, ServerTls, ServerTlsMode, SourceConfig, SqliteSettings, open,
};
pub use error::SourceError;

/// What to read: the model's statement and how to order it.
#[derive(Debug, Clone)]
pub struct ModelQuery {
    /// The model's name, for messages.
    pub name: String,
    /// Where the rows come from.
    pub body: ModelBody,
    /// A SQL condition on the model's columns (`where` of a sync).
    pub filter: Option<String>,
    /// SQL conditions on the model's columns. Each is a column of its own after the model's, named `syncline_flag_0` and so
    /// on: 1 where it holds, else 0.
    pub flags: Vec<String>,
    /// The primary key's columns, in order.
    pub primary_key: Vec<String>,
    /// The kinds that the sync's first run fixed; `None` before it, when they are taken from the schema.
    pub key_kinds: Option<Vec<KeyKind>>,
    /// Only rows at or after this place of a cursor column, for syncs that append.
    pub after: Option<After>,
    /// The statement is cancelled after this long.
    pub timeout: Duration,
}

/// Where a model is read on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct After {
    /// The cursor column.
    pub column: String,
    /// Its least value that is read.
    pub from: CursorValue,
}

/// A value of a cursor column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CursorValue {
    /// Of an integer column.
    Int(i64),
    /// Of a date column: days since 1970-01-01.
    Date(i32),
    /// Of a timestamp column, with or without time zone (then in UTC): microseconds since 1970-01-01.
    Timestamp(i64),
}

/// The statement of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelBody {
    /// A single `select`.
    Sql(String),
    /// A table or view, `schema.name` or `name`.
    Table(String),
}

/// A warehouse or database that models are read from.
///
/// The engine calls [`describe`](Source::describe), checks mapping and key kinds against the schema, then reads:
///
/// ```text
/// let mut rows = source.read(&query);
/// while let Some(batch) = rows.next().await? { …; rows.recycle(batch) }   // Ok(None) = the source said "complete"
/// ```
///
/// Contract: the whole result comes from one statement and so from one snapshot; rows arrive in the byte order of their
/// encoded keys, as far as keys can be encoded (rows whose key cannot be encoded may stand anywhere); the connection is
/// read-only where the database allows it; nothing of a row is ever logged.
#[async_trait]
pub trait Source: Send + Sync {
    /// Prepares the statement without running it and returns the result's columns.
    ///
    /// # Errors
    /// When the connection fails, the statement is refused or is more than one, two columns share a name, or a key
    /// column is missing or of a kind that cannot be a key.
    async fn describe(&self, query: &ModelQuery) -> Result<Arc<Schema>, SourceError>;

    /// Starts reading, in a task of its own: to be called inside a tokio runtime. Errors arrive through the stream.
    fn read(&self, query: &ModelQuery, schema: &Arc<Schema>) -> RowStream;

    /// Connects and tells what the role may do, for `check`.
    ///
    /// # Errors
    /// When the connection or the inspection fails.
    async fn check(&self) -> Result<SourceReport, SourceError>;
}

/// What `check` says about a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceReport {
    /// The server's name and version.
    pub server: String,
    /// Warnings, each a full sentence (for example that the role may write).
    pub warnings: Vec<String>,
}

/// Where a reading task sends its batches: `Ok(None)` is "complete", and the last message.
pub type BatchSender = mpsc::Sender<Result<Option<RowBatch>, SourceError>>;

/// Rows on their way from a reading task, a bounded number of batches ahead. Dropping it cancels the statement.
#[derive(Debug)]
pub struct RowStream {
    batches: mpsc::Receiver<Result<Option<RowBatch>, SourceError>>,
    empties: mpsc::Sender<RowBatch>,
}

impl RowStream {
    /// The stream and the two ends that the reading task uses: batches out, emptied batches back.
    pub fn channel(depth: usize) -> (Self, BatchSender, mpsc::Receiver<RowBatch>) {
        let (sender, batches) = mpsc::channel(depth);
        let (empties, returned) = mpsc::channel(depth + 2);
        (Self { batches, empties }, sender, returned)
    }

    /// The next batch, or `None` once the source has said that the result is complete.
    ///
    /// # Errors
    /// [`SourceError`] when reading failed; a stream that ends without saying "complete" is
    /// [`SourceError::Interrupted`], so that a partial result never looks whole.
    pub async fn next(&mut self) -> Result<Option<RowBatch>, SourceError> {
        self.batches.recv().await.unwrap_or(Err(SourceError::Interrupted))
    }

    /// Gives an emptied batch's memory back to the reading task.
    pub fn recycle(&self, mut batch: RowBatch) {
        batch.clear();
        // A full or closed return channel only means that the memory is freed instead.
        drop(self.empties.try_send(batch));
    }
}
