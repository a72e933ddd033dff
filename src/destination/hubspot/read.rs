//! What is read from HubSpot: records, properties, the account, the limits.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    classify::text_of,
    config::{is_email, normalise},
    problem::{OBJECT_NOT_FOUND, Problem},
};
use crate::{
    destination::{
        Field, Found, Identity, Lookup, LookupBy,
        answer::{Answer, AnswerProblem},
    },
    wire::{Fault, Observed, ObservedWindow},
};

/// A contact's further addresses, joined by `;`. Batch read finds a contact by any of them.
const ADDITIONAL_EMAILS: &str = "hs_additional_emails";

/// Ids of the records that were merged into this one, joined by `;`. They lead to the survivor for ever.
const MERGED_IDS: &str = "hs_merged_object_ids";

/// The values of one batch read: each different value once, with the positions that asked for it.
pub(super) struct Asked<'a> {
    lookup: &'a Lookup,
    positions: HashMap<String, Vec<usize>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReadBody<'a> {
    inputs: Vec<ReadInput<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_property: Option<&'a str>,
    properties: Vec<&'a str>,
}

#[derive(Serialize)]
struct ReadInput<'a> {
    id: &'a str,
}

/// The values of a lookup, in chunks that fit one request: (position, value).
pub(super) fn chunks(lookup: &Lookup, size: usize) -> impl Iterator<Item = (usize, &[String])> {
    let values = match &lookup.by {
        LookupBy::RecordIds(ids) => ids,
        LookupBy::Match { values, .. } => values,
    };
    values.chunks(size).enumerate().map(move |(chunk, values)| (chunk * size, values))
}

impl<'a> Asked<'a> {
    /// `values` stand at `first` and following of the lookup. HubSpot refuses an id that stands twice in a request.
    pub(super) fn new(lookup: &'a Lookup, first: usize, values: &[String]) -> Self {
        let mut positions: HashMap<String, Vec<usize>> = HashMap::new();
        for (offset, value) in values.iter().enumerate() {
            let value = match &lookup.by {
                LookupBy::RecordIds(_) => value.clone(),
                LookupBy::Match { field, .. } => normalise(&lookup.object, field, value),
            };
            if !value.is_empty() {
                positions.entry(value).or_default().push(first + offset);
            }
        }
        Self { lookup, positions }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    fn id_property(&self) -> Option<&'a str> {
        match &self.lookup.by {
            LookupBy::RecordIds(_) => None,
            LookupBy::Match { field, .. } => Some(field),
        }
    }

    /// Property in which a record lists other names of itself.
    fn aliases(&self) -> Option<&'static str> {
        match &self.lookup.by {
            LookupBy::RecordIds(_) => Some(MERGED_IDS),
            LookupBy::Match { field, .. } => is_email(&self.lookup.object, field).then_some(ADDITIONAL_EMAILS),
        }
    }

    /// The request's body.
    pub(super) fn body(&self) -> Vec<u8> {
        let mut inputs: Vec<_> = self.positions.keys().map(|id| ReadInput { id }).collect();
        inputs.sort_unstable_by_key(|input| input.id);
        let own = [self.id_property(), self.aliases()].into_iter().flatten();
        let properties = self.lookup.fields.iter().map(String::as_str).chain(own).collect();
        let body = ReadBody { inputs, id_property: self.id_property(), properties };
        // Strings and lists of them always serialise.
        serde_json::to_vec(&body).unwrap_or_default()
    }

    /// The records of an answer. Ids that lead nowhere stand among its errors and are not looked at.
    ///
    /// # Errors
    /// A protocol fault when the answer cannot be read.
    pub(super) fn found(&self, answer: &Answer<'_>) -> Result<Vec<Found>, Fault> {
        let body: Records = answer.object()?;
        let Some(records) = body.results else {
            return Err(answer.protocol(AnswerProblem::Contract("a batch read without results")));
        };
        let mut found = Vec::new();
        for record in &records {
            let Some(id) = text_of(&record.id) else { continue };
            for position in self.positions_of(&id, record, records.len()) {
                let fields = self.lookup.fields.iter().map(|name| (name.clone(), record.text(name))).collect();
                found.push(Found { position: *position, record_id: id.clone().into_owned(), fields });
            }
        }
        Ok(found)
    }

    fn positions_of(&self, id: &str, record: &Record, records: usize) -> impl Iterator<Item = &usize> {
        let own = self.id_property().map_or_else(|| Some(id.to_owned()), |field| record.text(field));
        let aliases = self.aliases().and_then(|field| record.text(field)).unwrap_or_default();
        let names = own.iter().map(String::as_str).chain(aliases.split(';'));
        let mut keys: Vec<_> = names.filter_map(|name| self.positions.get_key_value(&self.normal(name))).collect();
        // One question and one answer belong together under whatever name.
        if keys.is_empty() && records == 1 && self.positions.len() == 1 {
            keys.extend(&self.positions);
        }
        keys.sort_unstable();
        keys.dedup();
        keys.into_iter().flat_map(|(_, positions)| positions)
    }

    fn normal(&self, name: &str) -> String {
        self.id_property().map_or_else(|| name.to_owned(), |field| normalise(&self.lookup.object, field, name))
    }
}

/// The ids that a batch read says lead nowhere: `OBJECT_NOT_FOUND` with `context.ids`.
///
/// # Errors
/// A protocol fault when the answer cannot be read.
pub(super) fn not_found(answer: &Answer<'_>) -> Result<HashSet<String>, Fault> {
    let body: Value = answer.object()?;
    let missing = Problem(&body).inner().filter(|problem| problem.category() == OBJECT_NOT_FOUND);
    Ok(missing.flat_map(|problem| problem.context("ids")).map(str::to_owned).collect())
}

#[derive(Deserialize)]
struct Records {
    results: Option<Vec<Record>>,
}

#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    properties: HashMap<String, Value>,
}

impl Record {
    /// A property's text; an empty one counts as none.
    fn text(&self, name: &str) -> Option<String> {
        let text = self.properties.get(name).and_then(text_of)?;
        (!text.is_empty()).then(|| text.into_owned())
    }
}

#[derive(Deserialize)]
struct Properties {
    results: Vec<Property>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Property {
    name: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    has_unique_value: bool,
    #[serde(default)]
    calculated: bool,
    #[serde(default)]
    modification_metadata: Modification,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Modification {
    #[serde(default)]
    read_only_value: bool,
}

/// The fields of `GET /crm/v3/properties/{objectType}`.
///
/// # Errors
/// A protocol fault when the answer cannot be read.
pub(super) fn fields(object: &str, answer: &Answer<'_>) -> Result<Vec<Field>, Fault> {
    let properties: Properties = answer.object()?;
    let field = |property: Property| Field {
        writable: !property.calculated && !property.modification_metadata.read_only_value,
        // Contacts are found by `email` although it does not say that it is unique.
        unique: property.has_unique_value || is_email(object, &property.name),
        name: property.name,
        kind: property.kind,
        required: false,
    };
    Ok(properties.results.into_iter().map(field).collect())
}

/// The account of `GET /account-info/v3/details`.
///
/// # Errors
/// A protocol fault when the answer names none.
pub(super) fn identity(answer: &Answer<'_>) -> Result<Identity, Fault> {
    let body: Value = answer.object()?;
    let Some(account) = body.get("portalId").and_then(text_of) else {
        return Err(answer.protocol(AnswerProblem::Contract("account details without `portalId`")));
    };
    let time_zone = body.get("timeZone").and_then(Value::as_str).map(str::to_owned);
    Ok(Identity { account: account.into_owned(), time_zone })
}

/// What the rate-limit headers say. HubSpot sends a pair for the day, and limit, rest and length of a rolling window;
/// the pair for the second is of older accounts.
pub(super) fn observed(headers: &HeaderMap) -> Observed {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<u32>().ok();
    let mut windows = Vec::new();
    if let Some(millis) = number("x-hubspot-ratelimit-interval-milliseconds").filter(|millis| *millis > 0) {
        windows.push(ObservedWindow {
            per: Duration::from_millis(millis.into()),
            limit: number("x-hubspot-ratelimit-max"),
            remaining: number("x-hubspot-ratelimit-remaining"),
        });
    }
    if let Some(limit) = number("x-hubspot-ratelimit-secondly") {
        let remaining = number("x-hubspot-ratelimit-secondly-remaining");
        windows.push(ObservedWindow { per: Duration::from_secs(1), limit: Some(limit), remaining });
    }
    Observed {
        windows,
        daily_limit: number("x-hubspot-ratelimit-daily"),
        daily_remaining: number("x-hubspot-ratelimit-daily-remaining"),
    }
}
