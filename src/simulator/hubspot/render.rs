//! Records as JSON.

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::{Value, json};

use super::{
    schema::{HS_OBJECT_ID, PropertyId},
    store::{Record, Table},
};
use crate::model::Timestamp;

/// HubSpot's form of a time: RFC 3339 in UTC with milliseconds.
pub(super) fn iso(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.as_micros())
        .map(|at| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
        .unwrap_or_default()
}

/// One element of `results`.
pub(super) struct Item<'a> {
    pub(super) table: &'a Table,
    pub(super) record: &'a Record,
    pub(super) shown: &'a [PropertyId],
    /// Whether an upsert created the record.
    pub(super) new: Option<bool>,
    pub(super) trace: Option<&'a str>,
}

impl Serialize for Item<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        let (created, updated) = (iso(self.record.created), iso(self.record.updated));
        map.serialize_entry("id", &self.record.id.to_string())?;
        if let Some(new) = self.new {
            map.serialize_entry("new", &new)?;
        }
        map.serialize_entry("properties", &Shown { item: self, created: &created, updated: &updated })?;
        map.serialize_entry("createdAt", &created)?;
        map.serialize_entry("updatedAt", &updated)?;
        map.serialize_entry("archived", &self.record.archived)?;
        if let Some(trace) = self.trace {
            map.serialize_entry("objectWriteTraceId", trace)?;
        }
        map.end()
    }
}

struct Shown<'a> {
    item: &'a Item<'a>,
    created: &'a str,
    updated: &'a str,
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Item { table, record, shown, .. } = self.item;
        let modified = if table.name == "contacts" { "lastmodifieddate" } else { "hs_lastmodifieddate" };
        let derived = [HS_OBJECT_ID, "createdate", modified];
        let mut map = to.serialize_map(None)?;
        for id in *shown {
            match table.schema.get(*id) {
                Some(property) if !derived.contains(&property.name.as_str()) => {
                    map.serialize_entry(&property.name, &record.value(*id))?;
                }
                Some(_) | None => {}
            }
        }
        map.serialize_entry(HS_OBJECT_ID, &record.id.to_string())?;
        map.serialize_entry("createdate", self.created)?;
        map.serialize_entry(modified, self.updated)?;
        map.end()
    }
}

/// A page of records for the judge: stored values only, without nulls.
pub(super) struct Page<'a> {
    pub(super) table: &'a Table,
    pub(super) offset: usize,
    pub(super) limit: usize,
}

impl Serialize for Page<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(None)?;
        for record in self.table.records().iter().skip(self.offset).take(self.limit) {
            list.serialize_element(&Judged { table: self.table, record })?;
        }
        list.end()
    }
}

struct Judged<'a> {
    table: &'a Table,
    record: &'a Record,
}

impl Serialize for Judged<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("id", &self.record.id.to_string())?;
        map.serialize_entry("properties", &Stored { table: self.table, record: self.record })?;
        map.serialize_entry("archived", &self.record.archived)?;
        map.serialize_entry("versions", &self.record.versions)?;
        if let Some(survivor) = self.record.merged_into {
            map.serialize_entry("merged_into", &survivor.to_string())?;
        }
        map.end()
    }
}

struct Stored<'a> {
    table: &'a Table,
    record: &'a Record,
}

impl Serialize for Stored<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let set = self.table.schema.iter().enumerate();
        to.collect_map(set.filter_map(|(id, property)| Some((&property.name, self.record.value(id)?))))
    }
}

/// The versions of a record.
pub(super) fn history(table: &Table, record: &Record) -> Value {
    let name = |id: PropertyId| table.schema.get(id).map_or_else(String::new, |property| property.name.clone());
    let versions = record.history.iter().map(|version| {
        let changes = version.changes.iter().map(|(id, value)| (name(*id), json!(value)));
        json!({
            "at": iso(version.at), "kind": version.kind,
            "properties": changes.collect::<serde_json::Map<String, Value>>(),
        })
    });
    versions.collect()
}
