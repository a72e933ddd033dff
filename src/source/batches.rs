//! The reading task's end of a [`RowStream`](super::RowStream): fills batches and hands them on.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{RowStream, SourceError};
use crate::model::{RowBatch, Schema, Value};

/// Rows in a batch, at most.
const BATCH_ROWS: usize = 1_000;
/// Bytes of variable-length values after which a batch is handed on.
const BATCH_BYTES: usize = 1 << 20;
/// Batches that may wait between the reading task and the engine.
const DEPTH: usize = 2;

/// The reader of the stream is gone; nobody is left to tell.
#[derive(Debug)]
pub(super) struct Gone;

/// Collects rows into batches and sends them.
pub(super) struct BatchWriter {
    schema: Arc<Schema>,
    sender: mpsc::Sender<Result<Option<RowBatch>, SourceError>>,
    returned: mpsc::Receiver<RowBatch>,
    batch: RowBatch,
    rows: u64,
}

impl BatchWriter {
    /// A stream for rows of `schema`, and the writer that feeds it.
    pub(super) fn new(schema: &Arc<Schema>) -> (RowStream, Self) {
        let (stream, sender, returned) = RowStream::channel(DEPTH);
        let batch = RowBatch::new(Arc::clone(schema));
        (stream, Self { schema: Arc::clone(schema), sender, returned, batch, rows: 0 })
    }

    /// Appends the next cell of the current row.
    #[inline]
    pub(super) fn push(&mut self, value: Value<'_>) {
        self.batch.push(value);
    }

    /// Closes the current row and hands the batch on when it is full.
    pub(super) async fn end_row(&mut self) -> Result<(), Gone> {
        self.rows += 1;
        if self.batch.len() >= BATCH_ROWS || self.batch.byte_len() >= BATCH_BYTES { self.flush().await } else { Ok(()) }
    }

    /// Rows written so far.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Resolves when the stream has been dropped. Does not borrow the writer.
    pub(super) fn dropped(&self) -> impl Future<Output = ()> + use<> {
        let sender = self.sender.clone();
        async move { sender.closed().await }
    }

    /// Sends what is left, then "complete" or the error.
    pub(super) async fn finish(mut self, outcome: Result<(), SourceError>) {
        let last = match outcome {
            Ok(()) => self.flush().await.map(|()| Ok(None)),
            Err(error) => Ok(Err(error)),
        };
        if let Ok(last) = last {
            // A closed channel means that nobody waits for the end any more.
            drop(self.sender.send(last).await);
        }
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let empty = self.returned.try_recv().unwrap_or_else(|_| RowBatch::new(Arc::clone(&self.schema)));
        let full = std::mem::replace(&mut self.batch, empty);
        self.sender.send(Ok(Some(full))).await.map_err(|_| Gone)
    }
}
