//! What the portal tells about itself.

use ::http::StatusCode;
use serde_json::{Value, json};

use super::{
    HubSpot, errors,
    render::iso,
    schema::{Kind, Property},
};
use crate::{
    model::Timestamp,
    simulator::{call::Answer, quota::local, vendor::Moment},
};

impl HubSpot {
    /// `GET /crm/v3/properties/{type}`.
    pub(super) fn properties(&self, object: usize) -> Answer {
        let Some(table) = self.tables.get(object) else { return errors::no_route() };
        let results: Value = table.schema.iter().map(described).collect();
        Answer::json(StatusCode::OK, &json!({ "results": results }))
    }

    /// `GET /crm/v3/schemas`: the custom objects.
    pub(super) fn schemas(&self) -> Answer {
        let results: Value = (0..self.tables.len()).filter_map(|object| self.described_schema(object)).collect();
        Answer::json(StatusCode::OK, &json!({ "results": results }))
    }

    /// `GET /crm/v3/schemas/{type}`.
    pub(super) fn schema(&self, object: usize) -> Answer {
        self.described_schema(object).map_or_else(errors::no_route, |schema| Answer::json(StatusCode::OK, &schema))
    }

    /// The schema of a custom object.
    fn described_schema(&self, object: usize) -> Option<Value> {
        let (table, type_id) = (self.tables.get(object)?, Self::type_id(object)?);
        let required: Vec<&str> =
            table.schema.iter().filter(|property| property.required).map(|property| property.name.as_str()).collect();
        Some(json!({
            "id": type_id.trim_start_matches("2-"), "objectTypeId": type_id, "name": table.name,
            "fullyQualifiedName": format!("p{}_{}", self.options.portal, table.name),
            "labels": { "singular": table.name, "plural": table.name }, "archived": false,
            "requiredProperties": required, "properties": table.schema.iter().map(described).collect::<Value>(),
        }))
    }

    /// `GET /account-info/v3/details`.
    pub(super) fn details(&self, now: Timestamp) -> Answer {
        let offset = local(now, &self.zone).map_or(0, |at| at.offset().seconds());
        let (hours, minutes) = (offset / 3600, offset.abs() / 60 % 60);
        let body = json!({
            "portalId": self.options.portal, "accountType": "STANDARD",
            "timeZone": self.zone.iana_name().unwrap_or("UTC"), "companyCurrency": "EUR", "additionalCurrencies": [],
            "utcOffset": format!("{hours:+03}:{minutes:02}"), "utcOffsetMilliseconds": i64::from(offset) * 1000,
            "uiDomain": "app.hubspot.com", "dataHostingLocation": "eu1",
        });
        Answer::json(StatusCode::OK, &body)
    }

    /// `GET /account-info/v3/api-usage/daily/private-apps`.
    pub(super) fn usage(&self, at: Moment) -> Answer {
        let (limit, left) = at.quota.daily.unwrap_or_default();
        let resets = local(at.wall, &self.zone).and_then(|now| now.tomorrow().ok()?.start_of_day().ok());
        let body = json!({ "results": [{
            "name": "private-apps-api-calls-daily", "usageLimit": limit, "currentUsage": limit.saturating_sub(left),
            "collectedAt": iso(at.wall), "fetchStatus": "SUCCESS",
            "resetsAt": resets.map(|at| iso(Timestamp::from_micros(at.timestamp().as_microsecond()))),
        }] });
        Answer::json(StatusCode::OK, &body)
    }
}

fn described(property: &Property) -> Value {
    let (kind, field, options) = match &property.kind {
        Kind::String => ("string", "text", &[] as &[String]),
        Kind::Email => ("string", "text", &[] as &[String]),
        Kind::Number => ("number", "number", &[] as &[String]),
        Kind::Date => ("date", "date", &[] as &[String]),
        Kind::Datetime => ("datetime", "date", &[] as &[String]),
        Kind::Bool => ("bool", "booleancheckbox", &[] as &[String]),
        Kind::One(options) => ("enumeration", "select", options.as_slice()),
        Kind::Many(options) => ("enumeration", "checkbox", options.as_slice()),
    };
    let options: Vec<Value> = options.iter().map(|option| json!({ "label": option, "value": option })).collect();
    json!({
        "name": property.name, "label": property.name, "type": kind, "fieldType": field, "options": options,
        "hasUniqueValue": property.unique, "calculated": false, "hidden": false,
        "modificationMetadata": { "archivable": true, "readOnlyDefinition": false, "readOnlyValue": property.read_only },
    })
}
