//! The records of one object.

use std::collections::{HashMap, VecDeque};

use super::schema::{ADDITIONAL_EMAILS, Kind, MERGED_IDS, PropertyId, Schema};
use crate::{model::Timestamp, simulator::vendor::hash_of};

/// Ids of different objects must not look alike, so that a mixed-up one is noticed.
const IDS_PER_OBJECT: u64 = 1_000_000_000;

/// A value to set; `None` clears.
pub(super) type Change = (PropertyId, Option<Box<str>>);

/// The content of a write as it was sent (see [`content`]), and what it sets.
pub(super) type Write = (u64, Vec<Change>);

/// One object's records.
pub(super) struct Table {
    pub(super) name: String,
    pub(super) schema: Schema,
    pub(super) totals: Totals,
    first_id: u64,
    records: Vec<Record>,
    unique: HashMap<PropertyId, HashMap<Box<str>, u64>>,
    history: usize,
}

/// Counts since the start.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) created: u64,
    pub(super) updated: u64,
    pub(super) archived: u64,
    pub(super) live: u64,
    pub(super) merged: u64,
}

/// One record.
pub(super) struct Record {
    pub(super) id: u64,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) archived: bool,
    pub(super) merged_into: Option<u64>,
    /// Writes so far.
    pub(super) versions: u64,
    pub(super) history: VecDeque<Version>,
    values: Vec<Option<Box<str>>>,
    last_write: Option<u64>,
}

/// One write to a record.
pub(super) struct Version {
    pub(super) at: Timestamp,
    pub(super) kind: &'static str,
    pub(super) changes: Vec<Change>,
}

impl Record {
    /// The value of a stored property.
    pub(super) fn value(&self, property: PropertyId) -> Option<&str> {
        self.values.get(property)?.as_deref()
    }

    /// Neither archived nor merged away.
    pub(super) fn is_live(&self) -> bool {
        !self.archived && self.merged_into.is_none()
    }
}

impl Table {
    /// The `number`th object of the portal.
    pub(super) fn new(name: &str, number: u64, schema: Schema, history: usize) -> Self {
        let first_id = number * IDS_PER_OBJECT + 1;
        let (records, unique) = (Vec::new(), HashMap::new());
        Self { name: name.to_owned(), schema, totals: Totals::default(), first_id, records, unique, history }
    }

    /// All records in the order of their creation, merged and archived ones too.
    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }

    /// The record that answers to an id: the survivor, if it was merged away.
    pub(super) fn get(&self, id: u64) -> Option<&Record> {
        let mut record = self.at(id)?;
        while let Some(survivor) = record.merged_into {
            record = self.at(survivor)?;
        }
        Some(record)
    }

    /// The live record that answers to an id given as text.
    pub(super) fn live(&self, id: &str) -> Option<&Record> {
        self.get(id.parse().ok()?).filter(|record| record.is_live())
    }

    /// The live record with a value of a unique property.
    pub(super) fn owner(&self, property: PropertyId, value: &str) -> Option<u64> {
        self.unique.get(&property)?.get(&*self.normal(property, value)).copied()
    }

    /// The form in which a value is stored and compared.
    pub(super) fn normal(&self, property: PropertyId, value: &str) -> Box<str> {
        match self.schema.get(property).map(|property| &property.kind) {
            Some(Kind::Email) => value.trim().to_lowercase().into(),
            Some(_) | None => value.into(),
        }
    }

    /// The first value that another record than `own` has already.
    pub(super) fn conflict(&self, own: Option<u64>, changes: &[Change]) -> Option<(PropertyId, u64)> {
        changes.iter().find_map(|(property, value)| {
            let owner = *self.unique.get(property)?.get(value.as_deref()?)?;
            (Some(owner) != own).then_some((*property, owner))
        })
    }

    /// Adds a record; answers its id.
    pub(super) fn create(&mut self, write: Write, at: Timestamp) -> u64 {
        let id = self.first_id + self.records.len() as u64;
        self.records.push(Record {
            id,
            created: at,
            updated: at,
            archived: false,
            merged_into: None,
            versions: 0,
            history: VecDeque::new(),
            values: Vec::new(),
            last_write: None,
        });
        (self.totals.created, self.totals.live) = (self.totals.created + 1, self.totals.live + 1);
        self.put(id, "created", write, at);
        id
    }

    /// Writes to a record; tells whether the write before it had the same content.
    pub(super) fn update(&mut self, id: u64, write: Write, at: Timestamp) -> bool {
        self.totals.updated += 1;
        self.put(id, "updated", write, at)
    }

    /// A human's edit: never the same as a write of ours.
    pub(super) fn edit(&mut self, id: u64, changes: Vec<Change>, at: Timestamp) {
        self.put(id, "edited", (0, changes), at);
        if let Some(record) = self.at_mut(id) {
            record.last_write = None;
        }
    }

    /// Archives a record and frees its unique values; `false` when it is not live.
    pub(super) fn archive(&mut self, id: u64, at: Timestamp) -> bool {
        let Some(record) = self.at_mut(id).filter(|record| record.is_live()) else { return false };
        (record.archived, record.updated, record.last_write) = (true, at, None);
        self.remember(id, Version { at, kind: "archived", changes: Vec::new() });
        self.release(id);
        (self.totals.archived, self.totals.live) = (self.totals.archived + 1, self.totals.live - 1);
        true
    }

    /// Gives the unique values of a record free.
    fn release(&mut self, id: u64) {
        let emails = self.additional_emails(id);
        let (email, position) = (self.schema.find("email"), self.position(id));
        let Some(record) = position.and_then(|position| self.records.get(position)) else { return };
        for (property, owners) in &mut self.unique {
            if let Some(value) = record.value(*property) {
                owners.remove(value);
            }
            if Some(*property) == email {
                for email in &emails {
                    owners.remove(email.as_str());
                }
            }
        }
    }

    fn put(&mut self, id: u64, kind: &'static str, (content, changes): Write, at: Timestamp) -> bool {
        for (property, value) in &changes {
            self.set(id, *property, value.clone());
        }
        let Some(record) = self.at_mut(id) else { return false };
        record.updated = at;
        let identical = record.last_write.replace(content) == Some(content);
        self.remember(id, Version { at, kind, changes });
        identical
    }

    fn remember(&mut self, id: u64, version: Version) {
        let keep = self.history;
        let Some(record) = self.at_mut(id) else { return };
        record.versions += 1;
        if keep > 0 {
            if record.history.len() == keep {
                record.history.pop_front();
            }
            record.history.push_back(version);
        }
    }

    fn set(&mut self, id: u64, property: PropertyId, value: Option<Box<str>>) {
        let value = value.filter(|value| !value.is_empty());
        let unique = self.schema.get(property).is_some_and(|property| property.unique);
        let Some(record) = self.at_mut(id) else { return };
        if record.values.len() <= property {
            record.values.resize(property + 1, None);
        }
        let Some(slot) = record.values.get_mut(property) else { return };
        let old = std::mem::replace(slot, value.clone());
        if unique && old != value {
            self.reindex(id, property, old, value);
        }
    }

    fn reindex(&mut self, id: u64, property: PropertyId, old: Option<Box<str>>, new: Option<Box<str>>) {
        let owners = self.unique.entry(property).or_default();
        let was_ours = new.as_ref().is_some_and(|new| owners.get(new) == Some(&id));
        if let Some(new) = &new {
            owners.insert(new.clone(), id);
        }
        // A further address made the first one: the two change places.
        if let (true, Some(old), Some(new)) = (was_ours, &old, &new) {
            let mut emails = self.additional_emails(id);
            emails.retain(|email| **email != **new);
            emails.push(old.to_string());
            self.set_additional_emails(id, &emails);
        } else if let Some(old) = old {
            owners.remove(&old);
        }
    }

    /// A contact's further addresses.
    pub(super) fn additional_emails(&self, id: u64) -> Vec<String> {
        let property = self.schema.find(ADDITIONAL_EMAILS);
        self.list(id, property)
    }

    fn set_additional_emails(&mut self, id: u64, emails: &[String]) {
        if let Some(property) = self.schema.find(ADDITIONAL_EMAILS) {
            self.set(id, property, Some(emails.join(";").into()));
        }
    }

    /// Gives a contact one more address; the error names the owner.
    pub(super) fn add_email(&mut self, id: u64, email: &str) -> Result<(), Option<u64>> {
        let property = self.schema.find("email").ok_or(None)?;
        let email = self.normal(property, email);
        if let Some(owner) = self.owner(property, &email).filter(|owner| *owner != id) {
            return Err(Some(owner));
        }
        if self.owner(property, &email).is_some() {
            return Ok(());
        }
        let mut emails = self.additional_emails(id);
        emails.push(email.to_string());
        self.set_additional_emails(id, &emails);
        self.unique.entry(property).or_default().insert(email, id);
        Ok(())
    }

    /// Merges `from` into `into`: the survivor keeps its values, takes over what it lacks, and answers to both ids.
    pub(super) fn merge(&mut self, into: u64, from: u64, at: Timestamp) {
        let merged_ids = self.schema.find(MERGED_IDS);
        let mut ids = self.list(into, merged_ids);
        ids.extend(self.list(from, merged_ids));
        ids.push(from.to_string());
        let emails = self.merged_emails(into, from);
        let taken = self.lacking(into, from);
        self.archive(from, at);
        if let Some(lost) = self.at_mut(from) {
            (lost.archived, lost.merged_into) = (false, Some(into));
        }
        (self.totals.archived, self.totals.merged) = (self.totals.archived - 1, self.totals.merged + 1);
        self.edit(into, taken, at);
        if let Some(property) = merged_ids {
            self.set(into, property, Some(ids.join(";").into()));
        }
        self.set_additional_emails(into, &emails);
        if let Some(property) = self.schema.find("email") {
            let owners = self.unique.entry(property).or_default();
            owners.extend(emails.into_iter().map(|email| (email.into(), into)));
        }
    }

    /// The further addresses of a merged contact.
    fn merged_emails(&self, into: u64, from: u64) -> Vec<String> {
        let email = |id: u64| Some(self.at(id)?.value(self.schema.find("email")?)?.to_owned());
        let mut emails = self.additional_emails(into);
        // An address of a survivor without one becomes its own, not a further one.
        emails.extend(email(into).and(email(from)));
        emails.extend(self.additional_emails(from));
        emails
    }

    /// The values of `from` that `into` has not.
    fn lacking(&self, into: u64, from: u64) -> Vec<Change> {
        let (Some(survivor), Some(lost)) = (self.at(into), self.at(from)) else { return Vec::new() };
        let values =
            lost.values.iter().enumerate().filter(|(id, value)| value.is_some() && survivor.value(*id).is_none());
        values.map(|(id, value)| (id, value.clone())).collect()
    }

    fn list(&self, id: u64, property: Option<PropertyId>) -> Vec<String> {
        let text = property.and_then(|property| self.at(id)?.value(property)).unwrap_or_default();
        text.split(';').filter(|part| !part.is_empty()).map(str::to_owned).collect()
    }

    fn at(&self, id: u64) -> Option<&Record> {
        self.records.get(self.position(id)?)
    }

    fn at_mut(&mut self, id: u64) -> Option<&mut Record> {
        let position = self.position(id)?;
        self.records.get_mut(position)
    }

    fn position(&self, id: u64) -> Option<usize> {
        usize::try_from(id.checked_sub(self.first_id)?).ok()
    }
}

/// A hash of what a write says, whatever the order of its properties.
pub(super) fn content(changes: &[Change]) -> u64 {
    changes.iter().map(hash_of).fold(changes.len() as u64, u64::wrapping_add)
}
