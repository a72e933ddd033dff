//! The append log: every row that is applied adds an event, so that double sends show.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use crate::simulator::vendor::hash_of;

/// The name that the judge knows the log by.
pub(super) const LOG: &str = "events";

/// Events by key, each with how often it was applied.
#[derive(Default)]
pub(super) struct Log {
    index: HashMap<String, usize>,
    events: Vec<(String, u64)>,
    /// Hashes of the rows' own idempotency keys.
    keys: HashSet<u64>,
    applied: u64,
    deduplicated: u64,
}

impl Log {
    /// Adds an event; `true` when its own idempotency key was known already, so that nothing was added.
    pub(super) fn add(&mut self, key: &str, row_key: Option<&str>) -> bool {
        if row_key.is_some_and(|row_key| !self.keys.insert(hash_of(row_key))) {
            self.deduplicated += 1;
            return true;
        }
        self.applied += 1;
        let position = *self.index.entry(key.to_owned()).or_insert(self.events.len());
        match self.events.get_mut(position) {
            Some((_, applied)) => *applied += 1,
            None => self.events.push((key.to_owned(), 1)),
        }
        false
    }

    /// Events in the order of their first arrival.
    pub(super) fn page(&self, offset: usize, limit: usize) -> String {
        let page = self.events.iter().skip(offset).take(limit);
        page.map(|(key, applied)| json!({ "id": key, "applied": applied })).collect::<Value>().to_string()
    }

    /// Events, how many rows were applied for them, how many events more than once, and rows that were known already.
    pub(super) fn report(&self) -> Value {
        let repeated = self.events.iter().filter(|(_, applied)| *applied > 1).count();
        json!({
            "distinct": self.events.len(), "applied": self.applied, "repeated": repeated,
            "deduplicated": self.deduplicated,
        })
    }
}
