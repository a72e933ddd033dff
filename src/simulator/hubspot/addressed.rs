//! The batch endpoints that address records by id alone: read and archive.

use std::collections::{HashMap, HashSet};

use ::http::StatusCode;

use super::{
    HubSpot,
    batch::{Answering, find, refuse_duplicates, row, scripted, too_many, touch, unique_property},
    errors::{self, RowError},
    parse::ReadBatch,
    render::Item,
    schema::PropertyId,
    store::Table,
};
use crate::{
    model::Timestamp,
    simulator::{
        call::{Answer, Call},
        script::Rejection,
        vendor::{Applied, Row},
    },
};

/// The payload of a removal, for the overlap check.
const REMOVAL: u64 = 0;

impl HubSpot {
    /// `batch/archive`: what is gone already is no error.
    pub(super) fn archive_batch(
        &mut self,
        object: usize,
        call: &Call,
        rejections: &HashMap<usize, Rejection>,
        at: Timestamp,
    ) -> Applied {
        let Some(table) = self.tables.get_mut(object) else { return Applied::nothing(errors::no_route()) };
        let batch: ReadBatch = match serde_json::from_slice(&call.body) {
            Ok(batch) => batch,
            Err(error) => return Applied::nothing(errors::malformed(&error)),
        };
        if let Some(refusal) = too_many(batch.inputs.len()) {
            return Applied::nothing(refusal);
        }
        if let Some(rejection) = rejections.values().next() {
            return Applied { inputs: batch.inputs.len(), ..Applied::nothing(scripted(rejection).answer()) };
        }
        let mut answering = Answering::new();
        for input in &batch.inputs {
            let record = table.live(&input.id).map(|record| record.id);
            answering.touches.push(touch(table, None, &input.id, record, REMOVAL));
            let archived = record.is_some_and(|id| table.archive(id, at));
            answering.writes.count(!archived);
        }
        let Answering { touches, writes, .. } = answering;
        Applied { answer: Answer::empty(StatusCode::NO_CONTENT), inputs: batch.inputs.len(), touches, writes }
    }

    /// `batch/read`.
    pub(super) fn read_batch(&self, object: usize, call: &Call, at: Timestamp) -> Applied {
        let Some(table) = self.tables.get(object) else { return Applied::nothing(errors::no_route()) };
        let batch: ReadBatch = match serde_json::from_slice(&call.body) {
            Ok(batch) => batch,
            Err(error) => return Applied::nothing(errors::malformed(&error)),
        };
        if let Some(refusal) = too_many(batch.inputs.len()) {
            return Applied::nothing(refusal);
        }
        let property = match unique_property(table, batch.id_property.as_deref()) {
            Ok(property) => property,
            Err(refusal) => return Applied::nothing(refusal),
        };
        if let Err(refusal) = refuse_duplicates(table, property, batch.inputs.iter().map(|input| input.id.as_str())) {
            return Applied::nothing(refusal);
        }
        let shown = shown(table, &batch.properties, property);
        let (mut answering, mut missing, mut seen) = (Answering::new(), Vec::new(), HashSet::new());
        for input in &batch.inputs {
            match find(table, property, &input.id).and_then(|id| table.get(id)) {
                // Two ids of one merged record give one result.
                Some(record) if !seen.insert(record.id) => {}
                Some(record) => answering.push(&Item { table, record, shown: &shown, new: None, trace: None }),
                None => missing.push(input.id.clone()),
            }
        }
        if !missing.is_empty() {
            answering.errors.push(RowError::not_found(&table.name, missing).in_batch(None));
        }
        answering.finish(StatusCode::OK, batch.inputs.len(), at)
    }

    /// The rows of a batch of ids.
    pub(super) fn addressed_rows(&self, object: usize, call: &Call) -> Vec<Row> {
        let (Some(table), Ok(batch)) = (self.tables.get(object), serde_json::from_slice::<ReadBatch>(&call.body))
        else {
            return Vec::new();
        };
        let one = |id: &String| row(id, &[], touch(table, None, id, find(table, None, id), REMOVAL));
        batch.inputs.iter().map(|input| one(&input.id)).collect()
    }
}

/// The properties that a read shows: those asked for and the identifying one; without a list, HubSpot's few.
pub(super) fn shown(table: &Table, names: &[String], property: Option<PropertyId>) -> Vec<PropertyId> {
    let few: &[&str] = match table.name.as_str() {
        "contacts" => &["email", "firstname", "lastname"],
        "companies" => &["name", "domain"],
        "deals" => &["dealname", "amount", "closedate", "pipeline", "dealstage"],
        "tickets" => &["subject", "content", "hs_pipeline", "hs_pipeline_stage"],
        _ => &["name"],
    };
    let asked = names.iter().map(String::as_str).filter_map(|name| table.schema.find(name));
    let few = few.iter().filter_map(|name| table.schema.find(name));
    let mut shown: Vec<PropertyId> = if names.is_empty() { few.collect() } else { asked.collect() };
    shown.extend(property);
    let mut seen = HashSet::new();
    shown.retain(|id| seen.insert(*id));
    shown
}
