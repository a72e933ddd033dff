//! A source whose rows are given for each run.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use super::Row;
use crate::{
    model::{Column, ColumnKind, KeyKind, RowBatch, Schema, Value},
    source::{ModelQuery, RowStream, Source, SourceError, SourceReport},
};

/// Hands out the rows that were set last, in key order.
#[derive(Default)]
pub(crate) struct FakeSource {
    rows: Mutex<Vec<Row>>,
}

impl FakeSource {
    pub(crate) fn set(&self, rows: &[Row]) {
        let mut rows = rows.to_vec();
        rows.sort_by_key(|row| row.id);
        *self.rows.lock().unwrap() = rows;
    }
}

#[async_trait]
impl Source for FakeSource {
    async fn describe(&self, _query: &ModelQuery) -> Result<Arc<Schema>, SourceError> {
        let column = |name: &str, kind, key_kind| Column {
            name: name.to_owned(),
            kind,
            key_kind: Some(key_kind),
            source_type: "fake".to_owned(),
        };
        let columns = vec![
            column("id", ColumnKind::Int, KeyKind::Integer),
            column("email", ColumnKind::Text, KeyKind::Text),
            column("name", ColumnKind::Text, KeyKind::Text),
            column("at", ColumnKind::Int, KeyKind::Integer),
        ];
        Ok(Arc::new(Schema { columns }))
    }

    fn read(&self, _query: &ModelQuery, schema: &Arc<Schema>) -> RowStream {
        let (stream, sender, _returned) = RowStream::channel(2);
        let mut batch = RowBatch::new(Arc::clone(schema));
        for row in self.rows.lock().unwrap().iter() {
            batch.push(row.id.map_or(Value::Null, Value::Int));
            batch.push(Value::Text(&row.email));
            batch.push(Value::Text(&row.name));
            batch.push(row.at.map_or(Value::Null, Value::Int));
        }
        tokio::spawn(async move {
            // The reader may have given up.
            drop(sender.send(Ok(Some(batch))).await);
            drop(sender.send(Ok(None)).await);
        });
        stream
    }

    async fn check(&self) -> Result<SourceReport, SourceError> {
        Ok(SourceReport { server: "fake".to_owned(), warnings: Vec::new() })
    }
}
