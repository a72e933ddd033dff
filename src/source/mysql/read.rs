//! The reading task: streams the wrapping select into batches.

use std::{sync::Arc, time::Duration};

use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, Decode, MySql, Row, mysql::MySqlRow};
use tokio::time::timeout;

use super::{
    decode::{Decoder, Scratch},
    describe, errors,
    session::{Connector, Session},
};
use crate::{
    model::{Schema, Value},
    source::{
        ModelQuery, RowStream, SourceError,
        batches::{BatchWriter, Gone},
    },
};

/// How long past its statement timeout a statement may take before the connection is given up, for a server that has
/// vanished without a word.
const GRACE: Duration = Duration::from_secs(15);

pub(super) fn start(connector: Connector, query: ModelQuery, schema: &Arc<Schema>) -> RowStream {
    let (stream, writer) = BatchWriter::new(schema);
    tokio::spawn(run(connector, query, Arc::clone(schema), writer));
    stream
}

/// How the rows ended.
enum End {
    /// The server said that the result is complete.
    Complete,
    /// Nobody reads the stream any more.
    Dropped,
    Failed(SourceError),
}

async fn run(connector: Connector, query: ModelQuery, schema: Arc<Schema>, mut writer: BatchWriter) {
    let dropped = writer.dropped();
    tokio::pin!(dropped);
    let opened = tokio::select! {
        biased;
        () = &mut dropped => return,
        opened = Session::open(&connector, query.timeout) => opened,
    };
    let mut session = match opened {
        Ok(session) => session,
        Err(error) => return writer.finish(Err(error)).await,
    };
    let end = tokio::select! {
        biased;
        () = &mut dropped => End::Dropped,
        end = timeout(query.timeout + GRACE, stream(&mut session, &query, &schema, &mut writer)) => {
            end.unwrap_or_else(|_| End::Failed(SourceError::Timeout { model: query.name.clone() }))
        }
    };
    match end {
        End::Complete => {
            session.close().await;
            writer.finish(Ok(())).await;
        }
        End::Dropped => connector.cancel(session.id).await,
        End::Failed(error) => {
            drop(session);
            writer.finish(Err(error)).await;
        }
    }
}

async fn stream(session: &mut Session, query: &ModelQuery, schema: &Schema, writer: &mut BatchWriter) -> End {
    let prepared = match describe::prepare(session, query).await {
        Ok(prepared) if prepared.schema == *schema => prepared,
        Ok(_) => return End::Failed(failed(query, writer, "the model's columns changed since they were described")),
        Err(error) => return End::Failed(error),
    };
    let mut scratch = Scratch::default();
    // Unprepared by name: nothing is left behind in a pooled connection.
    let statement = sqlx::query(AssertSqlSafe(prepared.sql)).persistent(false);
    let mut rows = statement.fetch(&mut session.connection);
    loop {
        match rows.try_next().await {
            Ok(Some(row)) => {
                if let Err(error) = push_row(&row, &prepared.decoders, &mut scratch, writer) {
                    return End::Failed(errors::read(query, writer.rows(), &error));
                }
                if let Err(Gone) = writer.end_row().await {
                    return End::Dropped;
                }
            }
            Ok(None) => return End::Complete,
            Err(error) => return End::Failed(errors::read(query, writer.rows(), &error)),
        }
    }
}

fn push_row(
    row: &MySqlRow,
    decoders: &[Decoder],
    scratch: &mut Scratch,
    writer: &mut BatchWriter,
) -> Result<(), sqlx::Error> {
    for (index, decoder) in decoders.iter().enumerate() {
        // The only thing that can fail is that there are no bytes. The driver's own `is_null` says so of zero dates too,
        // and a zero date that arrives as a null would clear a field that nobody emptied.
        match <&[u8] as Decode<MySql>>::decode(row.try_get_raw(index)?) {
            Ok(bytes) => writer.push(decoder.decode(bytes, scratch)),
            Err(_) => writer.push(Value::Null),
        }
    }
    Ok(())
}

fn failed(query: &ModelQuery, writer: &BatchWriter, reason: &str) -> SourceError {
    SourceError::Read { model: query.name.clone(), rows: writer.rows(), reason: reason.to_owned() }
}
