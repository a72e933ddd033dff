//! The warehouse: rows that change at random, and a source over them that sometimes fails in the middle.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use fastrand::Rng;
use syncline::{
    model::{Column, ColumnKind, KeyKind, RowBatch, Schema, Value},
    source::{ModelQuery, RowStream, Source, SourceError, SourceReport},
};

use super::{script::Script, trace::Trace};

/// Keys of a model, at most.
const KEYS: i64 = 40;
/// Few values, so that they come back.
const VALUES: &[&str] = &["a", "b", "c"];
/// Of so many reads one fails.
const FAILS: u32 = 50;

/// The model of a sync that runs once a day, in the early hours.
pub(super) const LATE_MODEL: &str = "m9";

/// The rows of each model, by key.
pub(super) type Rows = BTreeMap<i64, &'static str>;

/// All models.
#[derive(Clone)]
pub(super) struct Models {
    rows: Arc<Mutex<BTreeMap<String, Rows>>>,
    rng: Arc<Mutex<Rng>>,
    script: Arc<Script>,
    trace: Trace,
}

impl Models {
    pub(super) fn new(script: &Arc<Script>, trace: &Trace, mut rng: Rng) -> Self {
        let mut rows = BTreeMap::new();
        for sync in &script.syncs {
            let model: Rows = (0..KEYS / 2).map(|key| (key, VALUES[rng.usize(..VALUES.len())])).collect();
            rows.entry(sync.model.clone()).or_insert(model);
        }
        let (script, trace) = (script.clone(), trace.clone());
        Self { rows: Arc::new(Mutex::new(rows)), rng: Arc::new(Mutex::new(rng)), script, trace }
    }

    /// The rows of a model as they are now.
    pub(super) fn rows(&self, model: &str) -> Rows {
        self.rows.lock().unwrap()[model].clone()
    }

    /// Changes one model after the other until the faults end.
    pub(super) async fn change(self) {
        let names: Vec<String> = self.rows.lock().unwrap().keys().cloned().collect();
        // Each model changes every five minutes or so.
        let pause = Duration::from_secs(600) / u32::try_from(names.len()).unwrap();
        loop {
            let wait = pause.mul_f64(self.rng.lock().unwrap().f64());
            tokio::time::sleep(wait).await;
            if self.trace.now() >= self.script.calm_from {
                return;
            }
            let mut rng = self.rng.lock().unwrap();
            let name = &names[rng.usize(..names.len())];
            // What changes later waits for the next day.
            if name != LATE_MODEL || self.trace.now() < Duration::from_secs(3 * 3600) {
                mutate(self.rows.lock().unwrap().get_mut(name).unwrap(), &mut rng);
            }
        }
    }
}

/// A handful of new values, new rows and removals.
fn mutate(rows: &mut Rows, rng: &mut Rng) {
    for _ in 0..rng.usize(1..6) {
        let key = rng.i64(0..KEYS);
        if rng.u8(..4) == 0 && rows.len() > 5 {
            rows.remove(&key);
        } else {
            rows.insert(key, VALUES[rng.usize(..VALUES.len())]);
        }
    }
}

#[async_trait]
impl Source for Models {
    async fn describe(&self, _query: &ModelQuery) -> Result<Arc<Schema>, SourceError> {
        let column = |name: &str, kind, key_kind| Column {
            name: name.to_owned(),
            kind,
            key_kind: Some(key_kind),
            source_type: "simulated".to_owned(),
        };
        let columns =
            vec![column("id", ColumnKind::Int, KeyKind::Integer), column("value", ColumnKind::Text, KeyKind::Text)];
        Ok(Arc::new(Schema { columns }))
    }

    fn read(&self, query: &ModelQuery, schema: &Arc<Schema>) -> RowStream {
        let (stream, sender, _returned) = RowStream::channel(2);
        let rows = self.rows(&query.name);
        let (fails, wait) = {
            let mut rng = self.rng.lock().unwrap();
            let fails = rng.u32(..FAILS) == 0 && self.trace.now() < self.script.calm_from;
            (fails, Duration::from_millis(rng.u64(1..2000)))
        };
        let taken = if fails { rows.len() / 2 } else { rows.len() };
        let mut batch = RowBatch::new(schema.clone());
        for (key, value) in rows.iter().take(taken) {
            batch.push(Value::Int(*key));
            batch.push(Value::Text(value));
        }
        let model = query.name.clone();
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let end = if fails {
                Err(SourceError::Read { model, rows: taken as u64, reason: "the connection broke".to_owned() })
            } else {
                Ok(None)
            };
            // The reader may have given up.
            drop(sender.send(Ok(Some(batch))).await);
            drop(sender.send(end).await);
        });
        stream
    }

    async fn check(&self) -> Result<SourceReport, SourceError> {
        Ok(SourceReport { server: "simulated".to_owned(), warnings: Vec::new() })
    }
}
