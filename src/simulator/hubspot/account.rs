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
