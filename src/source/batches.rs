//! The reading task's end of a [`RowStream`](super::RowStream): fills batches and hands them on.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{BatchSender, RowStream, SourceError};
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
    sender: BatchSender,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Column, ColumnKind};

    fn schema() -> Arc<Schema> {
        let column = Column { name: "c".into(), kind: ColumnKind::Text, key_kind: None, source_type: "text".into() };
        Arc::new(Schema { columns: vec![column] })
    }

    /// Writes `rows` texts of `bytes` bytes, ends with `outcome`, and returns the sizes of the batches and the end.
    async fn written(
        rows: usize,
        bytes: usize,
        outcome: Result<(), SourceError>,
    ) -> (Vec<usize>, Result<(), SourceError>) {
        let (mut stream, mut writer) = BatchWriter::new(&schema());
        let task = tokio::spawn(async move {
            let text = "x".repeat(bytes);
            for _ in 0..rows {
                writer.push(Value::Text(&text));
                writer.end_row().await.expect("the stream is read");
            }
            writer.finish(outcome).await;
        });
        let mut sizes = Vec::new();
        let end = loop {
            match stream.next().await {
                Ok(Some(batch)) => {
                    sizes.push(batch.len());
                    stream.recycle(batch);
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        task.await.expect("no panic");
        (sizes, end)
    }

    #[tokio::test]
    async fn batches_are_bounded_by_rows_and_by_bytes() {
        assert!(matches!(written(2_500, 1, Ok(())).await, (sizes, Ok(())) if sizes == [1_000, 1_000, 500]));
        assert!(matches!(written(5, BATCH_BYTES / 2, Ok(())).await, (sizes, Ok(())) if sizes == [2, 2, 1]));
        assert!(matches!(written(0, 1, Ok(())).await, (sizes, Ok(())) if sizes.is_empty()));
    }

    #[tokio::test]
    async fn a_failure_ends_the_stream_as_one() {
        let (_, end) = written(10, 1, Err(SourceError::Timeout { model: "m".into() })).await;
        assert!(matches!(end, Err(SourceError::Timeout { .. })));
    }

    #[tokio::test]
    async fn a_writer_that_vanishes_is_no_completion() {
        let (mut stream, writer) = BatchWriter::new(&schema());
        drop(writer);
        assert!(matches!(stream.next().await, Err(SourceError::Interrupted)));
    }

    #[tokio::test]
    async fn a_dropped_stream_is_noticed() {
        let (stream, mut writer) = BatchWriter::new(&schema());
        let dropped = writer.dropped();
        drop(stream);
        dropped.await;
        writer.push(Value::Null);
        assert!(writer.flush().await.is_err());
    }
}
