//! The reading task: streams the ordered statement into batches.

use std::{path::PathBuf, sync::Arc};

use futures_util::TryStreamExt;
use sqlx::{
    AssertSqlSafe, Decode, Row, Sqlite, Type, ValueRef,
    sqlite::{SqliteRow, SqliteTypeInfo, SqliteValueRef},
};

use super::{connect::Session, describe, errors};
use crate::{
    model::{ColumnKind, Schema, Unrepresentable, Value},
    source::{
        ModelQuery, RowStream, SourceError,
        batches::{BatchWriter, Gone},
    },
};

pub(super) fn start(path: PathBuf, query: ModelQuery, schema: &Arc<Schema>) -> RowStream {
    let (stream, writer) = BatchWriter::new(schema);
    tokio::spawn(run(path, query, Arc::clone(schema), writer));
    stream
}

async fn run(path: PathBuf, query: ModelQuery, schema: Arc<Schema>, mut writer: BatchWriter) {
    // Dropping the work drops its session, which interrupts the statement.
    let outcome = tokio::select! {
        biased;
        () = writer.dropped() => return,
        outcome = rows(path, &query, &schema, &mut writer) => outcome,
    };
    writer.finish(outcome).await;
}

async fn rows(path: PathBuf, query: &ModelQuery, schema: &Schema, writer: &mut BatchWriter) -> Result<(), SourceError> {
    let mut session = Session::open(&path, query.timeout).await?;
    let sql = describe::prepare(&mut session, query, schema).await?;
    let decoder = Decoder::new(schema);
    let statement = sqlx::query(AssertSqlSafe(sql)).persistent(false);
    let mut rows = statement.fetch(&mut session.connection);
    let failure = loop {
        match rows.try_next().await {
            Ok(Some(row)) => {
                if let Err(error) = decoder.push_row(&row, writer) {
                    break error;
                }
                if let Err(Gone) = writer.end_row().await {
                    return Err(SourceError::Interrupted);
                }
            }
            Ok(None) => return Ok(()),
            Err(error) => break error,
        }
    };
    drop(rows);
    Err(errors::read(&session, query, writer.rows(), &failure))
}

/// The storage classes as the driver names them, and what is known of each column; made once a read.
struct Decoder {
    integer: SqliteTypeInfo,
    real: SqliteTypeInfo,
    text: SqliteTypeInfo,
    blob: SqliteTypeInfo,
    truths: Vec<bool>,
}

impl Decoder {
    fn new(schema: &Schema) -> Self {
        Self {
            integer: <i64 as Type<Sqlite>>::type_info(),
            real: <f64 as Type<Sqlite>>::type_info(),
            text: <str as Type<Sqlite>>::type_info(),
            blob: <[u8] as Type<Sqlite>>::type_info(),
            truths: schema.columns.iter().map(|column| column.kind == ColumnKind::Bool).collect(),
        }
    }

    fn push_row(&self, row: &SqliteRow, writer: &mut BatchWriter) -> Result<(), sqlx::Error> {
        for (index, &truth) in self.truths.iter().enumerate() {
            let value = self.decode(row.try_get_raw(index)?).map_err(sqlx::Error::Decode)?;
            writer.push(match value {
                Value::Int(number @ (0 | 1)) if truth => Value::Bool(number == 1),
                other => other,
            });
        }
        Ok(())
    }

    fn decode<'r>(&self, raw: SqliteValueRef<'r>) -> Result<Value<'r>, sqlx::error::BoxDynError> {
        // A null reports the column's declared type.
        if raw.is_null() {
            return Ok(Value::Null);
        }
        let class = raw.type_info().into_owned();
        Ok(if class == self.integer {
            Value::Int(get(raw)?)
        } else if class == self.text {
            let bytes: &[u8] = get(raw)?;
            std::str::from_utf8(bytes).map_or(Value::Unrepresentable(Unrepresentable::InvalidUtf8), Value::Text)
        } else if class == self.real {
            Value::Float(get(raw)?)
        } else if class == self.blob {
            Value::Bytes(get(raw)?)
        } else {
            Value::Unrepresentable(Unrepresentable::UnknownType)
        })
    }
}

fn get<'r, T: Decode<'r, Sqlite>>(raw: SqliteValueRef<'r>) -> Result<T, sqlx::error::BoxDynError> {
    T::decode(raw)
}
