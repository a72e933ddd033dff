//! The endpoints for one record.

use std::collections::HashMap;

use ::http::{Method, StatusCode};
use serde_json::json;

use super::{
    HubSpot,
    addressed::shown,
    batch::{Prepared, Write, changes, find, row, scripted, touch, unique_property, write_one},
    errors::{self, RowError},
    parse::{Pairs, Single},
    render::Item,
    schema::PropertyId,
    store::{Table, content},
};
use crate::{
    model::Timestamp,
    simulator::{
        call::{Answer, Call},
        script::Rejection,
        vendor::{Applied, Row, Writes},
    },
};

impl HubSpot {
    /// `POST /crm/v3/objects/{type}`.
    pub(super) fn create_one(
        &mut self,
        object: usize,
        call: &Call,
        rejections: &HashMap<usize, Rejection>,
        at: Timestamp,
    ) -> Applied {
        self.write_single(object, Write::Create, None, "", call, rejections, at)
    }

    /// `GET`, `PATCH` and `DELETE /crm/v3/objects/{type}/{id}`.
    pub(super) fn one(
        &mut self,
        object: usize,
        id: &str,
        call: &Call,
        rejections: &HashMap<usize, Rejection>,
        at: Timestamp,
    ) -> Applied {
        let Some(table) = self.tables.get_mut(object) else { return Applied::nothing(errors::no_route()) };
        let property = match unique_property(table, call.query("idProperty").as_deref()) {
            Ok(property) => property,
            Err(refusal) => return Applied::nothing(refusal),
        };
        if call.method == Method::GET {
            return Applied::nothing(read(table, property, id, call));
        }
        if call.method == Method::PATCH {
            return self.write_single(object, Write::Update, property, id, call, rejections, at);
        }
        let record = table.live(id).map(|record| record.id);
        let touches = vec![touch(table, None, id, record, 0)];
        let mut writes = Writes::default();
        writes.count(!record.is_some_and(|id| table.archive(id, at)));
        Applied { answer: Answer::empty(StatusCode::NO_CONTENT), inputs: 1, touches, writes }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one request")]
    fn write_single(
        &mut self,
        object: usize,
        write: Write,
        property: Option<PropertyId>,
        id: &str,
        call: &Call,
        rejections: &HashMap<usize, Rejection>,
        at: Timestamp,
    ) -> Applied {
        let portal = self.options.portal;
        let Some(table) = self.tables.get_mut(object) else { return Applied::nothing(errors::no_route()) };
        let single: Single<'_> = match serde_json::from_slice(&call.body) {
            Ok(single) => single,
            Err(error) => return Applied::nothing(errors::malformed(&error)),
        };
        let valid = rejections
            .get(&0)
            .map_or_else(|| changes(table, Some(&single.properties), portal), |rejection| Err(scripted(rejection)));
        let key = property.map_or_else(|| id.into(), |property| table.normal(property, id));
        let written = valid.and_then(|changes| {
            let (payload, names) = (content(&changes), changes.iter().map(|(name, _)| *name).collect::<Vec<_>>());
            let row = Prepared { key, payload, changes };
            Ok((write_one(table, write, property, row, at)?, payload, names))
        });
        match written {
            Err(error) => Applied { inputs: 1, ..Applied::nothing(error.answer()) },
            Ok((written, payload, shown)) => {
                let mut writes = Writes::default();
                writes.count(written.identical);
                let touches = vec![touch(table, property, id, Some(written.id), payload)];
                let status = if written.new { StatusCode::CREATED } else { StatusCode::OK };
                Applied { answer: item(table, written.id, &shown, status), inputs: 1, touches, writes }
            }
        }
    }

    /// The row of a request for one record.
    pub(super) fn single_row(&self, object: usize, id: Option<&str>, call: &Call) -> Vec<Row> {
        let Some(table) = self.tables.get(object) else { return Vec::new() };
        let pairs =
            serde_json::from_slice::<Single<'_>>(&call.body).map_or_else(|_| Pairs::default(), |body| body.properties);
        let id = id.unwrap_or_default();
        let properties = Pairs::list(&pairs.0);
        let payload = crate::simulator::vendor::hash_of(&properties);
        vec![row(id, &properties, touch(table, None, id, find(table, None, id), payload))]
    }
}

fn read(table: &Table, property: Option<PropertyId>, id: &str, call: &Call) -> Answer {
    let names = call.query("properties").unwrap_or_default();
    let names: Vec<String> = names.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    match find(table, property, id) {
        Some(found) => item(table, found, &shown(table, &names, property), StatusCode::OK),
        None => RowError::not_found(&table.name, vec![id.to_owned()]).answer(),
    }
}

fn item(table: &Table, id: u64, shown: &[PropertyId], status: StatusCode) -> Answer {
    let Some(record) = table.get(id) else { return errors::no_route() };
    let item = Item { table, record, shown, new: None, trace: None };
    Answer::raw_json(status, serde_json::to_vec(&item).unwrap_or_else(|_| json!({}).to_string().into_bytes()))
}
