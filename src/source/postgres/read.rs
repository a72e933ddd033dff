//! Streams the wrapping select into batches.

use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, Row, ValueRef, postgres::PgRow};
use tokio::time::Instant;

use super::{
    decode::{Decoder, Scratch},
    describe, errors,
    session::{Connector, Session},
};
use crate::{
    model::{Schema, Value},
    source::{
        ModelQuery, SourceError,
        batches::BatchWriter,
        reading::{self, Stopped},
    },
};

impl reading::Session for Session {
    type Connector = Connector;

    async fn open(connector: &Connector, statement_timeout: Duration) -> Result<Self, SourceError> {
        Self::open(connector, statement_timeout).await
    }

    async fn stream(&mut self, query: &ModelQuery, schema: &Schema, writer: &mut BatchWriter) -> Result<(), Stopped> {
        let prepared = describe::prepare(self, query).await?;
        reading::check_columns(query, schema, &prepared.schema)?;
        let started = Instant::now();
        let failed = |rows, error: sqlx::Error| {
            if errors::code(&error) == Some(errors::QUERY_CANCELED) && started.elapsed() >= query.timeout {
                return SourceError::Timeout { model: query.name.clone() };
            }
            errors::read(query, rows, &error)
        };
        let mut scratch = Scratch::default();
        // Unprepared by name: nothing is left behind in a pooled connection.
        let statement = sqlx::query(AssertSqlSafe(prepared.sql)).persistent(false);
        let mut rows = statement.fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await.map_err(|error| failed(writer.rows(), error))? {
            push_row(&row, &prepared.decoders, &mut scratch, writer).map_err(|error| failed(writer.rows(), error))?;
            writer.end_row().await?;
        }
        Ok(())
    }

    async fn cancel(self, connector: &Connector) {
        connector.cancel(self.pid).await;
    }

    async fn close(self) {
        Self::close(self).await;
    }
}

fn push_row(
    row: &PgRow,
    decoders: &[Decoder],
    scratch: &mut Scratch,
    writer: &mut BatchWriter,
) -> Result<(), sqlx::Error> {
    for (index, decoder) in decoders.iter().enumerate() {
        // Looked at in place: moving this struct out of its result took a third of the whole decoding (store forwarding).
        let raw = row.try_get_raw(index);
        let Ok(raw) = &raw else { return raw.map(drop) };
        if raw.is_null() {
            writer.push(Value::Null);
        } else {
            let bytes = raw.as_bytes().map_err(sqlx::Error::Decode)?;
            writer.push(decoder.decode(bytes, scratch));
        }
    }
    Ok(())
}
