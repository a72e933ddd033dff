//! The batch endpoints.

use std::collections::{HashMap, HashSet};

use ::http::StatusCode;
use serde_json::Value;

use super::{
    HubSpot,
    errors::{self, RowError},
    parse::{Batch, Input, Pairs},
    render::{Item, iso},
    schema::{HS_OBJECT_ID, PropertyId},
    store::{Change, Table, content},
    validate,
};
use crate::{
    model::Timestamp,
    simulator::{
        call::{Answer, Call},
        script::Rejection,
        vendor::{Applied, Row, Touch, Writes, hash_of},
    },
};

/// HubSpot's cap of inputs in one batch (destinations.md 3.2).
const MAX_INPUTS: usize = 100;

/// A writing batch operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    Upsert,
    Update,
    Create,
}

/// A row that is valid in itself.
pub(super) struct Prepared {
    /// The identifying value in its normal form; empty for a create.
    pub(super) key: Box<str>,
    /// A hash of what was sent.
    pub(super) payload: u64,
    pub(super) changes: Vec<Change>,
}

/// What a written row came to.
pub(super) struct Written {
    pub(super) id: u64,
    pub(super) new: bool,
    pub(super) identical: bool,
}

/// An answer in the making.
pub(super) struct Answering {
    results: Vec<u8>,
    pub(super) errors: Vec<Value>,
    pub(super) touches: Vec<Touch>,
    pub(super) writes: Writes,
}

impl HubSpot {
    /// `batch/upsert`, `batch/update` and `batch/create`.
    pub(super) fn write_batch(
        &mut self,
        object: usize,
        write: Write,
        call: &Call,
        rejections: &HashMap<usize, Rejection>,
        at: Timestamp,
    ) -> Applied {
        let portal = self.options.portal;
        let Some(table) = self.tables.get_mut(object) else { return Applied::nothing(errors::no_route()) };
        let batch: Batch<'_> = match serde_json::from_slice(&call.body) {
            Ok(batch) => batch,
            Err(error) => return Applied::nothing(errors::malformed(&error)),
        };
        let inputs = batch.inputs;
        let property = match check_batch(table, write, &inputs) {
            Ok(property) => property,
            Err(refusal) => return Applied { inputs: inputs.len(), ..Applied::nothing(refusal) },
        };
        let rejected = |position| rejections.get(&position).map(scripted);
        let rows: Vec<Result<Prepared, RowError>> = (inputs.iter().enumerate())
            .map(|(position, input)| rejected(position).map_or_else(|| prepare(table, property, input, portal), Err))
            .collect();
        let traceless = inputs.iter().zip(&rows).find_map(|(input, row)| {
            row.as_ref().err().filter(|error| error.poisons && input.object_write_trace_id.is_none())
        });
        if let Some(error) = traceless {
            return Applied { inputs: inputs.len(), ..Applied::nothing(error.answer()) };
        }
        let mut answering = Answering::new();
        for (input, row) in inputs.iter().zip(rows) {
            answering.write_row(table, write, property, input, row, at);
        }
        let complete = if write == Write::Create { StatusCode::CREATED } else { StatusCode::OK };
        answering.finish(complete, inputs.len(), at)
    }

    /// The rows of a writing batch.
    pub(super) fn written_rows(&self, object: usize, write: Write, call: &Call) -> Vec<Row> {
        let (Some(table), Ok(batch)) = (self.tables.get(object), serde_json::from_slice::<Batch<'_>>(&call.body))
        else {
            return Vec::new();
        };
        let id_property = batch.inputs.first().and_then(|input| input.id_property.as_ref()).map(|name| name.as_str());
        let property = id_property.and_then(|name| table.schema.find(name));
        let row = |input: &Input<'_>| {
            let pairs = input.properties.as_ref().map_or(&[][..], |pairs| &pairs.0);
            let key = input.id.as_ref().or(input.object_write_trace_id.as_ref()).map_or("", |id| id.as_str());
            let record = if write == Write::Create { None } else { find(table, property, key) };
            let changes: Vec<Change> = pairs
                .iter()
                .filter_map(|(name, value)| {
                    let property = table.schema.find(name.as_str())?;
                    Some((property, Some(table.normal(property, value.as_str()))))
                })
                .collect();
            let normal = property.map_or_else(|| key.into(), |property| table.normal(property, key));
            row(key, &Pairs::list(pairs), touch(table, property, &normal, record, content(&changes)))
        };
        batch.inputs.iter().map(row).collect()
    }
}

/// A row for the faults.
pub(super) fn row(key: &str, properties: &[(String, String)], touch: Touch) -> Row {
    Row { key: key.to_owned(), properties: properties.to_vec(), touch }
}

impl Answering {
    /// Nothing written yet.
    pub(super) fn new() -> Self {
        Self { results: Vec::new(), errors: Vec::new(), touches: Vec::new(), writes: Writes::default() }
    }

    fn write_row(
        &mut self,
        table: &mut Table,
        write: Write,
        property: Option<PropertyId>,
        input: &Input<'_>,
        row: Result<Prepared, RowError>,
        at: Timestamp,
    ) {
        let trace = input.object_write_trace_id.as_ref().map(|trace| trace.as_str());
        let prepared = match row {
            Ok(prepared) => prepared,
            Err(error) => return self.errors.push(error.in_batch(trace)),
        };
        let (key, payload) = (prepared.key.clone(), prepared.payload);
        let shown: Vec<PropertyId> = prepared.changes.iter().map(|(property, _)| *property).collect();
        match write_one(table, write, property, prepared, at) {
            Ok(written) => {
                self.writes.count(written.identical);
                self.touches.push(touch(table, property, &key, Some(written.id), payload));
                if let Some(record) = table.get(written.id) {
                    let new = (write == Write::Upsert).then_some(written.new);
                    self.push(&Item { table, record, shown: &shown, new, trace });
                }
            }
            Err(error) => {
                self.touches.push(touch(table, property, &key, find(table, property, &key), payload));
                self.errors.push(error.in_batch(trace));
            }
        }
    }

    /// Adds a result.
    pub(super) fn push(&mut self, item: &Item<'_>) {
        if !self.results.is_empty() {
            self.results.push(b',');
        }
        // Writing to memory cannot fail.
        serde_json::to_writer(&mut self.results, item).ok();
    }

    /// The answer: `complete`, or 207 when a row failed.
    pub(super) fn finish(self, complete: StatusCode, inputs: usize, at: Timestamp) -> Applied {
        let mut body = br#"{"status":"COMPLETE","results":["#.to_vec();
        body.extend_from_slice(&self.results);
        let at = iso(at);
        body.extend_from_slice(format!(r#"],"startedAt":"{at}","completedAt":"{at}""#).as_bytes());
        let status = if self.errors.is_empty() { complete } else { StatusCode::MULTI_STATUS };
        if !self.errors.is_empty() {
            let errors = Value::from(self.errors);
            let count = errors.as_array().map_or(0, Vec::len);
            body.extend_from_slice(format!(r#","numErrors":{count},"errors":{errors}"#).as_bytes());
        }
        body.push(b'}');
        Applied { answer: Answer::raw_json(status, body), inputs, touches: self.touches, writes: self.writes }
    }
}

/// Writes one valid row.
pub(super) fn write_one(
    table: &mut Table,
    write: Write,
    property: Option<PropertyId>,
    row: Prepared,
    at: Timestamp,
) -> Result<Written, RowError> {
    let Prepared { key, payload, mut changes } = row;
    let own = if write == Write::Create { None } else { find(table, property, &key) };
    if own.is_none() && write == Write::Update {
        return Err(RowError::not_found(&table.name, vec![key.to_string()]));
    }
    if let (None, Write::Upsert, Some(property)) = (own, write, property)
        && !changes.iter().any(|(changed, _)| *changed == property)
    {
        changes.push((property, Some(key)));
    }
    if let Some((property, owner)) = table.conflict(own, &changes) {
        let value = changes.iter().find(|(changed, _)| *changed == property).and_then(|(_, value)| value.as_deref());
        let name = table.schema.get(property).map_or("", |property| &property.name);
        return Err(RowError::conflict(name, value.unwrap_or_default(), owner));
    }
    Ok(match own {
        Some(id) => Written { id, new: false, identical: table.update(id, (payload, changes), at) },
        None => Written { id: table.create((payload, changes), at), new: true, identical: false },
    })
}

/// Checks one row by itself.
fn prepare(
    table: &mut Table,
    property: Option<PropertyId>,
    input: &Input<'_>,
    portal: u64,
) -> Result<Prepared, RowError> {
    let id = input.id.as_ref().map_or("", |id| id.as_str());
    let key = property.map_or_else(|| id.into(), |property| table.normal(property, id));
    if let Some(unique) = property.and_then(|property| table.schema.get(property)) {
        validate::check(unique, id)
            .map_err(|misfit| RowError::invalid(&[validate::described(&unique.name, &misfit, portal)]))?;
        if key.is_empty() {
            return Err(RowError::validation(format!("The id for {} must not be empty.", unique.name)));
        }
    }
    let changes = changes(table, input.properties.as_ref(), portal)?;
    Ok(Prepared { key, payload: content(&changes), changes })
}

/// Checks the properties of a row.
pub(super) fn changes(table: &mut Table, pairs: Option<&Pairs<'_>>, portal: u64) -> Result<Vec<Change>, RowError> {
    let pairs = pairs.map_or(&[][..], |pairs| &pairs.0);
    let (mut changes, mut complaints) = (Vec::with_capacity(pairs.len()), Vec::new());
    for (name, value) in pairs {
        let (name, value) = (name.as_str(), value.as_str());
        let checked = match table.schema.find_or_declare(name) {
            Some(id) => table.schema.get(id).map_or(Ok(()), |property| validate::check(property, value)).map(|()| id),
            None => Err(validate::unknown(name)),
        };
        match checked {
            Ok(id) => changes.push((id, Some(table.normal(id, value)))),
            Err(misfit) => complaints.push(validate::described(name, &misfit, portal)),
        }
    }
    if complaints.is_empty() { Ok(changes) } else { Err(RowError::invalid(&complaints)) }
}

/// Checks a batch as a whole; answers the identifying property, `None` for record ids.
fn check_batch(table: &Table, write: Write, inputs: &[Input<'_>]) -> Result<Option<PropertyId>, Answer> {
    if let Some(refusal) = too_many(inputs.len()) {
        return Err(refusal);
    }
    let needs_id = write != Write::Create;
    if inputs.iter().any(|input| needs_id && input.id.is_none()) {
        return Err(errors::invalid("Invalid input JSON: Some required fields were not set: [id]"));
    }
    if inputs.iter().any(|input| input.properties.is_none()) {
        return Err(errors::invalid("Invalid input JSON: Some required fields were not set: [properties]"));
    }
    if !needs_id {
        return Ok(None);
    }
    let name = |input: &Input<'_>| input.id_property.as_ref().map(|name| name.0.to_string());
    let first = inputs.first().and_then(name);
    if inputs.iter().any(|input| name(input) != first) {
        return Err(errors::invalid("All inputs in a batch must have the same idProperty"));
    }
    let property = unique_property(table, first.as_deref())?;
    if write == Write::Upsert && property.is_none() {
        return Err(errors::invalid("An upsert needs an idProperty with unique values"));
    }
    refuse_duplicates(table, property, inputs.iter().filter_map(|input| input.id.as_ref()).map(|id| id.as_str()))?;
    Ok(property)
}

/// Refuses a batch that names a record twice.
pub(super) fn refuse_duplicates<'a>(
    table: &Table,
    property: Option<PropertyId>,
    ids: impl Iterator<Item = &'a str>,
) -> Result<(), Answer> {
    let mut seen = HashSet::with_capacity(MAX_INPUTS);
    for id in ids {
        let normal = property.map_or_else(|| id.into(), |property| table.normal(property, id));
        if let Some(twice) = seen.replace(normal) {
            return Err(errors::invalid(&format!("Duplicate IDs found in batch input: [{twice}]. IDs must be unique")));
        }
    }
    Ok(())
}

/// The refusal of a batch with more inputs than the cap.
pub(super) fn too_many(inputs: usize) -> Option<Answer> {
    let refused = inputs > MAX_INPUTS;
    refused.then(|| {
        errors::invalid(&format!("Batch size limit exceeded: got {inputs} inputs, the maximum is {MAX_INPUTS}"))
    })
}

/// The property that identifies records; `None` for their ids.
pub(super) fn unique_property(table: &Table, name: Option<&str>) -> Result<Option<PropertyId>, Answer> {
    let Some(name) = name.filter(|name| *name != HS_OBJECT_ID) else { return Ok(None) };
    let known = table.schema.find(name).and_then(|id| Some((id, table.schema.get(id)?)));
    match known {
        Some((id, property)) if property.unique => Ok(Some(id)),
        Some(_) => {
            Err(errors::invalid(&format!("Property '{name}' is not a unique property and cannot be an idProperty")))
        }
        None => Err(errors::invalid(&format!("Property '{name}' does not exist"))),
    }
}

/// The live record with an identifying value.
pub(super) fn find(table: &Table, property: Option<PropertyId>, id: &str) -> Option<u64> {
    match property {
        Some(property) => table.owner(property, id),
        None => table.live(id).map(|record| record.id),
    }
}

/// Names a row without its values.
pub(super) fn touch(
    table: &Table,
    property: Option<PropertyId>,
    key: &str,
    record: Option<u64>,
    payload: u64,
) -> Touch {
    Touch { key: hash_of((&table.name, property, key)), record: record.map(|id| hash_of((&table.name, id))), payload }
}

/// A refusal that a fault scripted.
pub(super) fn scripted(rejection: &Rejection) -> RowError {
    RowError::scripted(&rejection.category, &rejection.message)
}
