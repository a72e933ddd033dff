//! Streams the wrapping select into batches.

use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, Decode, MySql, Row, mysql::MySqlRow};

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
        let failed = |rows, error: sqlx::Error| errors::read(query, rows, &error);
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
        connector.cancel(self.id).await;
    }

    async fn close(self) {
        Self::close(self).await;
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
