//! A source whose rows are given for each run.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;

use super::Row;
use crate::{
    model::{Column, ColumnKind, KeyKind, RowBatch, Schema, Value},
    source::{ModelQuery, RowStream, Source, SourceError, SourceReport},
};

/// Hands out the rows that were set last, in key order. The conditions `even` and `odd` are about the id.
#[derive(Default)]
pub(crate) struct FakeSource {
    rows: Mutex<Vec<Row>>,
    /// Held, it keeps every run reading.
    pub(crate) gate: Arc<tokio::sync::Mutex<()>>,
    /// What a query without a key, such as `changed_when`, answers.
    answer: Mutex<String>,
    reads: AtomicUsize,
    /// Descriptions that are left before the model is built anew with two columns swapped; 0: never.
    rebuilt_after: AtomicUsize,
}

impl FakeSource {
    pub(crate) fn set(&self, rows: &[Row]) {
        let mut rows = rows.to_vec();
        rows.sort_by_key(|row| row.id);
        *self.rows.lock().unwrap() = rows;
    }

    pub(crate) fn answer(&self, answer: &str) {
        *self.answer.lock().unwrap() = answer.to_owned();
    }

    /// How often the model has been read.
    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }

    /// After so many more descriptions the model has two columns the other way round.
    pub(crate) fn rebuild_after(&self, descriptions: usize) {
        self.rebuilt_after.store(descriptions + 1, Ordering::Relaxed);
    }

    fn is_rebuilt(&self) -> bool {
        let left = self.rebuilt_after.load(Ordering::Relaxed);
        self.rebuilt_after.store(left.saturating_sub(1).max(usize::from(left > 0)), Ordering::Relaxed);
        left == 1
    }

    fn model(&self, query: &ModelQuery, batch: &mut RowBatch) {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let rows = self.rows.lock().unwrap();
        for row in rows.iter().filter(|row| query.filter.as_deref().is_none_or(|filter| holds(filter, row))) {
            batch.push(row.id.map_or(Value::Null, Value::Int));
            batch.push(Value::Text(&row.email));
            batch.push(if row.name.is_empty() { Value::Null } else { Value::Text(&row.name) });
            batch.push(row.at.map_or(Value::Null, Value::Int));
            query.flags.iter().for_each(|flag| batch.push(Value::Int(holds(flag, row).into())));
        }
    }
}

/// A condition is one of the two, or several in brackets joined by `or`.
fn holds(condition: &str, row: &Row) -> bool {
    let even = row.id.is_some_and(|id| id % 2 == 0);
    condition.split("or").map(|part| part.trim_matches(['(', ')', '\n', ' '])).any(|part| (part == "even") == even)
}

#[async_trait]
impl Source for FakeSource {
    async fn describe(&self, query: &ModelQuery) -> Result<Arc<Schema>, SourceError> {
        let column = |name: &str, kind, key_kind| Column {
            name: name.to_owned(),
            kind,
            key_kind: Some(key_kind),
            source_type: "fake".to_owned(),
        };
        if query.primary_key.is_empty() {
            let columns = vec![column("answer", ColumnKind::Text, KeyKind::Text)];
            return Ok(Arc::new(Schema { columns }));
        }
        let mut columns = vec![
            column("id", ColumnKind::Int, KeyKind::Integer),
            column("email", ColumnKind::Text, KeyKind::Text),
            column("name", ColumnKind::Text, KeyKind::Text),
            column("at", ColumnKind::Int, KeyKind::Integer),
        ];
        if self.is_rebuilt() {
            columns.swap(1, 2);
        }
        columns.extend(query.flags.iter().map(|flag| column(flag, ColumnKind::Int, KeyKind::Integer)));
        Ok(Arc::new(Schema { columns }))
    }

    fn read(&self, query: &ModelQuery, schema: &Arc<Schema>) -> RowStream {
        let (stream, sender, _returned) = RowStream::channel(2);
        let mut batch = RowBatch::new(Arc::clone(schema));
        if query.primary_key.is_empty() {
            batch.push(Value::Text(&self.answer.lock().unwrap()));
        } else {
            self.model(query, &mut batch);
        }
        let gate = self.gate.clone();
        let fails = query.filter.iter().chain(&query.flags).any(|condition| condition.contains("broken"));
        let model = query.name.clone();
        tokio::spawn(async move {
            drop(gate.lock().await);
            if fails {
                let reason = "division by zero".to_owned();
                drop(sender.send(Err(SourceError::Read { model, rows: 0, reason })).await);
                return;
            }
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
