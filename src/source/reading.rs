//! The reading task of a source that is a database server: its session, its end, and what becomes of the statement.

use std::{sync::Arc, time::Duration};

use tokio::time::timeout;

use super::{
    ModelQuery, RowStream, SourceError,
    batches::{BatchWriter, Gone},
};
use crate::model::Schema;

/// How long past its statement timeout a statement may take before the connection is given up, for a server that has
/// vanished without a word.
const GRACE: Duration = Duration::from_secs(15);

/// A connection to a server, inside the transaction that the model is read in.
pub(super) trait Session: Sized + Send + 'static {
    /// Makes connections to the server.
    type Connector: Send + Sync + 'static;

    fn open(
        connector: &Self::Connector,
        statement_timeout: Duration,
    ) -> impl Future<Output = Result<Self, SourceError>> + Send;

    /// Reads all rows; `Ok` when the server said that the result is complete.
    fn stream(
        &mut self,
        query: &ModelQuery,
        schema: &Schema,
        writer: &mut BatchWriter,
    ) -> impl Future<Output = Result<(), Stopped>> + Send;

    /// Asks the server, through another connection, to stop the statement. Best effort.
    fn cancel(self, connector: &Self::Connector) -> impl Future<Output = ()> + Send;

    /// Says good-bye to the server; the transaction ends with the connection.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// Why the rows ended before the result was complete.
pub(super) enum Stopped {
    /// Nobody reads the stream any more.
    Dropped,
    Failed(SourceError),
}

impl From<Gone> for Stopped {
    fn from(_: Gone) -> Self {
        Self::Dropped
    }
}

impl From<SourceError> for Stopped {
    fn from(error: SourceError) -> Self {
        Self::Failed(error)
    }
}

/// Starts the task that reads a model.
pub(super) fn start<S: Session>(connector: S::Connector, query: ModelQuery, schema: &Arc<Schema>) -> RowStream {
    let (stream, writer) = BatchWriter::new(schema);
    tokio::spawn(run::<S>(connector, query, Arc::clone(schema), writer));
    stream
}

async fn run<S: Session>(connector: S::Connector, query: ModelQuery, schema: Arc<Schema>, mut writer: BatchWriter) {
    let dropped = writer.dropped();
    tokio::pin!(dropped);
    let opened = tokio::select! {
        biased;
        () = &mut dropped => return,
        opened = S::open(&connector, query.timeout) => opened,
    };
    let mut session = match opened {
        Ok(session) => session,
        Err(error) => return writer.finish(Err(error)).await,
    };
    let end = tokio::select! {
        biased;
        () = &mut dropped => Err(Stopped::Dropped),
        end = timeout(query.timeout + GRACE, session.stream(&query, &schema, &mut writer)) => {
            end.unwrap_or_else(|_| Err(SourceError::Timeout { model: query.name.clone() }.into()))
        }
    };
    match end {
        Ok(()) => {
            session.close().await;
            writer.finish(Ok(())).await;
        }
        Err(Stopped::Dropped) => session.cancel(&connector).await,
        Err(Stopped::Failed(error)) => {
            drop(session);
            writer.finish(Err(error)).await;
        }
    }
}

/// Refuses to read a model whose columns are not those that it was described with.
pub(super) fn check_columns(query: &ModelQuery, described: &Schema, now: &Schema) -> Result<(), SourceError> {
    if described == now {
        return Ok(());
    }
    let reason = "the model's columns changed since they were described".to_owned();
    Err(SourceError::Read { model: query.name.clone(), rows: 0, reason })
}
