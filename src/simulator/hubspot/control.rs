//! What a human does in the portal.

use serde_json::{Value, json};

use super::{HubSpot, store::Change};
use crate::{model::Timestamp, simulator::vendor::Command};

impl HubSpot {
    /// Executes a control command.
    pub(super) fn command(&mut self, command: Command, at: Timestamp) -> Result<Value, String> {
        match command {
            Command::Edit { object, id, properties } => {
                let (table, id) = self.record(&object, &id)?;
                let table = self.tables.get_mut(table).ok_or("no such object")?;
                let named = properties.as_object().ok_or("expected `properties` to be an object")?;
                let mut changes: Vec<Change> = Vec::new();
                for (name, value) in named {
                    let property = table.schema.find_or_declare(name).ok_or_else(|| format!("no property `{name}`"))?;
                    changes.push((property, value.as_str().map(|value| table.normal(property, value))));
                }
                if let Some((_, owner)) = table.conflict(Some(id), &changes) {
                    return Err(format!("record {owner} has that value already"));
                }
                table.edit(id, changes, at);
                Ok(json!({ "id": id.to_string() }))
            }
            Command::Archive { object, id } => {
                let (table, id) = self.record(&object, &id)?;
                self.tables.get_mut(table).ok_or("no such object")?.archive(id, at);
                Ok(json!({ "id": id.to_string() }))
            }
            Command::Merge { object, into, from } => {
                let ((table, into), (_, from)) = (self.record(&object, &into)?, self.record(&object, &from)?);
                if into == from {
                    return Err("expected two different records".to_owned());
                }
                self.tables.get_mut(table).ok_or("no such object")?.merge(into, from, at);
                Ok(json!({ "id": into.to_string() }))
            }
            Command::SecondaryEmail { id, email } => {
                let (table, id) = self.record("contacts", &id)?;
                let added = self.tables.get_mut(table).ok_or("no such object")?.add_email(id, &email);
                added.map_err(|owner| format!("the address belongs to {owner:?} already"))?;
                Ok(json!({ "id": id.to_string() }))
            }
        }
    }

    /// A live record by object and id.
    fn record(&self, object: &str, id: &str) -> Result<(usize, u64), String> {
        let record = self.known(object)?.live(id).ok_or_else(|| format!("no live record `{id}` in `{object}`"))?;
        let table = self.table(object).ok_or_else(|| format!("no object `{object}`"))?;
        Ok((table, record.id))
    }
}
