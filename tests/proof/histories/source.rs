//! The model, as a source hands it out.

use std::sync::Arc;

use async_trait::async_trait;
use syncline::{
    model::{Column, ColumnKind, KeyKind, RowBatch, Schema, Value},
    source::{ModelQuery, RowStream, Source, SourceError, SourceReport},
};

use super::world::Shared;

/// Hands out the rows of the world's model, in key order.
pub(super) struct ModelSource {
    world: Shared,
    schema: Arc<Schema>,
}

impl ModelSource {
    pub(super) fn new(world: Shared) -> Self {
        let column = |name: &str, kind, key_kind| Column {
            name: name.to_owned(),
            kind,
            key_kind: Some(key_kind),
            source_type: "stand-in".to_owned(),
        };
        let columns = vec![
            column("id", ColumnKind::Int, KeyKind::Integer),
            column("email", ColumnKind::Text, KeyKind::Text),
            column("name", ColumnKind::Text, KeyKind::Text),
        ];
        Self { world, schema: Arc::new(Schema { columns }) }
    }
}

#[async_trait]
impl Source for ModelSource {
    async fn describe(&self, _query: &ModelQuery) -> Result<Arc<Schema>, SourceError> {
        Ok(self.schema.clone())
    }

    fn read(&self, query: &ModelQuery, schema: &Arc<Schema>) -> RowStream {
        let (stream, sender, _returned) = RowStream::channel(2);
        let mut world = self.world.lock();
        let (rows, fails) = world.read();
        let mut batch = RowBatch::new(schema.clone());
        for row in rows {
            batch.push(row.id.map_or(Value::Null, Value::Int));
            batch.push(Value::Text(&format!("{}@x", row.email)));
            batch.push(Value::Text(&row.name.to_string()));
        }
        // Both fit into the channel; the reader may have given up.
        drop(sender.try_send(Ok(Some(batch))));
        let lost = SourceError::Read { model: query.name.clone(), rows: 0, reason: "connection lost".to_owned() };
        drop(sender.try_send(if fails { Err(lost) } else { Ok(None) }));
        stream
    }

    async fn check(&self) -> Result<SourceReport, SourceError> {
        Ok(SourceReport { server: "stand-in".to_owned(), warnings: Vec::new() })
    }
}
