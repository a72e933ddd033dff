//! The vendor's records, and what requests do to them.

use syncline::{
    destination::{Batch, BatchRow, Outcome},
    model::Operation,
};

use super::{
    op::Stale,
    vendor::refusal,
    world::{Record, World, id_of},
};

impl World {
    /// Applies the first rows of a request.
    pub(super) fn apply(&mut self, batch: &Batch, rows: usize) -> Vec<Outcome> {
        batch.rows.iter().take(rows).map(|row| self.apply_row(batch.operation, row)).collect()
    }

    /// Applies the rows of a request from one on.
    pub(super) fn apply_from(&mut self, batch: &Batch, first: usize) -> Vec<Outcome> {
        batch.rows.iter().skip(first).map(|row| self.apply_row(batch.operation, row)).collect()
    }

    /// The record of that address.
    pub(super) fn find(&self, email: &str) -> Option<u64> {
        self.records.iter().find(|(_, record)| record.email == email).map(|(id, _)| *id)
    }

    fn apply_row(&mut self, operation: Operation, row: &BatchRow) -> Outcome {
        let id = id_of(row);
        let known = id.filter(|id| self.records.contains_key(id));
        match operation {
            Operation::Delete | Operation::Clear => {
                if let Some(removed) = known.and_then(|id| self.records.remove(&id)) {
                    self.graves.extend(id.map(|id| (id, removed.key)));
                    return Outcome::Delivered { record_id: None };
                }
                Outcome::Gone
            }
            Operation::Upsert | Operation::Insert => {
                let record = Record::of(&row.record);
                let found = self.find(&record.email);
                self.write(found, record)
            }
            Operation::Update => match known {
                Some(id) => self.write(Some(id), Record::of(&row.record)),
                None => Outcome::Gone,
            },
        }
    }

    fn write(&mut self, id: Option<u64>, record: Record) -> Outcome {
        if self.refused.contains(&record.name) {
            return Outcome::Rejected(refusal("INVALID", false));
        }
        let id = id.unwrap_or(self.last_id + 1);
        if self.find(&record.email).is_some_and(|other| other != id) {
            return Outcome::Rejected(refusal("VALUE_TAKEN", true));
        }
        self.last_id = self.last_id.max(id);
        self.records.insert(id, record);
        Outcome::Delivered { record_id: Some(id.to_string().into_boxed_str()) }
    }

    /// Another instance writes an old record of a key over its present one, if the vendor lets it.
    pub(super) fn overwrite(&mut self, stale: Stale) -> Option<(u64, Record)> {
        let key = Some(i64::from(stale.key));
        let id = self.records.iter().find(|(_, record)| record.key == key).map(|(id, _)| *id)?;
        let seen = self.seen.get(&i64::from(stale.key)).filter(|seen| !seen.is_empty())?;
        let record = seen[usize::from(stale.pick) % seen.len()].clone();
        let written = self.write(Some(id), record.clone());
        let told = matches!(written, Outcome::Delivered { .. });
        self.note(|| format!("    another instance: {record:?}, written: {told}"));
        if told {
            // Whoever still works under old intents keeps others from sending: nothing else of the key is in doubt then.
            self.drop_late();
        }
        told.then_some((id, record))
    }

    /// Somebody deletes a record.
    pub(super) fn vandalise(&mut self, pick: u8) {
        let ids: Vec<u64> = self.records.keys().copied().collect();
        let Some(id) = ids.get(usize::from(pick) % ids.len().max(1)) else { return };
        if let Some(record) = self.records.remove(id) {
            self.graves.insert(*id, record.key);
            self.vandalised.extend(record.key);
            // What comes late now would make the record anew, which nobody could know.
            self.drop_late();
        }
    }

    /// What is in doubt is never applied.
    fn drop_late(&mut self) {
        self.doubts.iter_mut().for_each(|doubt| doubt.batch = None);
    }

    /// Somebody makes a record.
    pub(super) fn make_alien(&mut self, email: u8) {
        let email = format!("{email}@x");
        if self.find(&email).is_none() {
            self.last_id += 1;
            let (name, tag) = ("alien".to_owned(), String::new());
            self.records.insert(self.last_id, Record { key: None, email, name, tag, bytes: bytes::Bytes::new() });
        }
    }
}
