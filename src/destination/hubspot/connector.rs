//! The connector: requests out, answers to the pure parts.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use http::Method;
use tokio::sync::Mutex;
use url::Url;

use super::{
    classify::{self, Question, classify},
    config::{self, CAPABILITIES, MAX_ROWS},
    encode::{Encoded, SentRow, encode, row_len},
    objects,
    read::{self, Asked},
};
use crate::{
    destination::{
        Batch, Capabilities, Delivery, Destination, Field, Found, Identity, Job, JobState, Lookup, LookupBy, Outcome,
        Unacceptable,
        answer::{Answer, AnswerProblem, in_order, join},
    },
    model::{Operation, RecordRef},
    wire::{Account, Class, Fault, FaultKind, Request, Response, Sent},
};

/// HubSpot CRM.
#[derive(Debug)]
pub(crate) struct HubSpot {
    base_url: Url,
    objects_path: String,
    /// By plain name, the names of custom objects in paths. Locked while asking, so that one request asks.
    custom: Mutex<HashMap<String, String>>,
}

impl HubSpot {
    /// A connector for the API at `base_url`, with the object endpoints under `objects_path` (`/crm/v3/objects`).
    pub(crate) fn new(base_url: Url, objects_path: &str) -> Self {
        Self { base_url, objects_path: objects_path.trim_end_matches('/').to_owned(), custom: Mutex::default() }
    }

    fn url(&self, path: &str) -> Result<Url, Fault> {
        join(&self.base_url, path).map_err(|error| Fault::new(FaultKind::Settings, Sent::No).because(error))
    }

    /// `action` of an object's batch endpoint.
    async fn batch_url(&self, account: &Account, object: &str, action: &str) -> Result<Url, Fault> {
        let name = self.path_name(account, object).await?;
        self.url(&format!("{}/{name}/batch/{action}", self.objects_path))
    }

    /// The name that an object has in paths. The plain name of a custom object is looked up in the account's schemas; a
    /// name that is not among them, or a credential that may not read them, leaves it to the endpoint to judge the name.
    async fn path_name(&self, account: &Account, object: &str) -> Result<String, Fault> {
        let object = object_name(object)?;
        if !objects::is_plain(object) {
            return Ok(object.to_owned());
        }
        let mut custom = self.custom.lock().await;
        if let Some(name) = custom.get(object) {
            return Ok(name.clone());
        }
        let request = Request::new(Method::GET, self.url(SCHEMAS)?, Class::Read, SCHEMAS);
        let found = optional(self.read(account, request, |answer| objects::type_id(object, answer)).await)?;
        let name = found.flatten().unwrap_or_else(|| object.to_owned());
        custom.insert(object.to_owned(), name.clone());
        Ok(name)
    }

    /// The properties that every record of a custom object needs, as far as the credential may read its schema.
    async fn required(&self, account: &Account, name: &str) -> Result<HashSet<String>, Fault> {
        if !objects::is_custom(name) {
            return Ok(HashSet::new());
        }
        let url = self.url(&format!("{SCHEMAS}/{name}"))?;
        let request = Request::new(Method::GET, url, Class::Read, "/crm/v3/schemas/{object}");
        optional(self.read(account, request, objects::required).await).map(Option::unwrap_or_default)
    }

    async fn send(&self, account: &Account, request: Request) -> Result<Response, Fault> {
        let response = account.send(request).await?;
        account.observe(&read::observed(&response.headers));
        Ok(response)
    }

    async fn read<T>(
        &self,
        account: &Account,
        request: Request,
        parse: impl FnOnce(&Answer<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let response = self.send(account, request).await?;
        let answer = Answer::of(&response);
        match response.status.as_u16() {
            200 | 207 => parse(&answer),
            _ => Err(classify::fault(&answer)),
        }
    }
}

impl HubSpot {
    /// An update of ids that lead nowhere may be answered with a 207 that names neither results nor errors
    /// (<https://community.hubspot.com>, "Batch API 207 with empty results"). Sent again it would be answered so for ever:
    /// a batch read does name missing ids, and settles those rows. What it does not name stays as it was.
    async fn find_missing(
        &self,
        account: &Account,
        batch: &Batch,
        sent: &[SentRow<'_>],
        outcomes: Result<Vec<Outcome>, Fault>,
    ) -> Result<Vec<Outcome>, Fault> {
        let by_id = matches!(batch.operation, Operation::Update | Operation::Clear);
        let open = |at: usize| match &outcomes {
            Ok(outcomes) => matches!(outcomes.get(at), Some(Outcome::Unknown)),
            Err(fault) => fault.kind == FaultKind::Protocol,
        };
        let ids: Vec<String> = sent
            .iter()
            .enumerate()
            .filter(|(at, _)| by_id && open(*at))
            .map(|(_, row)| row.address.to_string())
            .collect();
        if ids.is_empty() {
            return outcomes;
        }
        let field = batch.match_fields.first().filter(|_| sent.first().is_some_and(|row| row.by_match));
        let by = match field {
            Some(field) => LookupBy::Match { field: field.clone(), values: ids.clone() },
            None => LookupBy::RecordIds(ids.clone()),
        };
        let lookup = Lookup { object: batch.object.clone(), by, fields: Vec::new() };
        let Ok(missing) = self.not_found(account, &lookup, &ids).await else { return outcomes };
        let is_missing = |at: usize, row: &SentRow<'_>| open(at) && missing.contains(row.address.as_ref());
        let settled: Vec<bool> = sent.iter().enumerate().map(|(at, row)| is_missing(at, row)).collect();
        if !settled.contains(&true) {
            return outcomes;
        }
        let known = outcomes.unwrap_or_else(|_| sent.iter().map(|_| Outcome::Unknown).collect());
        let settle = |(known, missing)| if missing { classify::missing(batch.operation) } else { known };
        Ok(known.into_iter().zip(settled).map(settle).collect())
    }

    async fn not_found(&self, account: &Account, lookup: &Lookup, ids: &[String]) -> Result<HashSet<String>, Fault> {
        let body = Asked::new(lookup, 0, ids).body();
        let url = self.batch_url(account, &lookup.object, "read").await?;
        let request = Request::new(Method::POST, url, Class::Read, READ_ROUTE);
        self.read(account, request.json(body), read::not_found).await
    }
}

/// Schemas of the account's custom objects
/// (<https://developers.hubspot.com/docs/api-reference/crm-custom-objects-v3/guide>).
const SCHEMAS: &str = "/crm/v3/schemas";

const READ_ROUTE: &str = "{objects}/{object}/batch/read";

/// Nothing where the account or the credential's rights have no such thing.
fn optional<T>(read: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(fault) if matches!(fault.kind, FaultKind::Forbidden | FaultKind::NotFound) => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// Object names go into paths: nothing else than a name may stand there.
fn object_name(object: &str) -> Result<&str, Fault> {
    let refused = || {
        Fault::new(FaultKind::Settings, Sent::No).because(AnswerProblem::Contract("`object` is no HubSpot object name"))
    };
    if config::is_object_name(object) { Ok(object) } else { Err(refused()) }
}

fn endpoint(operation: Operation) -> (&'static str, &'static str) {
    match operation {
        Operation::Upsert => ("upsert", "{objects}/{object}/batch/upsert"),
        Operation::Insert => ("create", "{objects}/{object}/batch/create"),
        Operation::Update | Operation::Clear => ("update", "{objects}/{object}/batch/update"),
        Operation::Delete => ("archive", "{objects}/{object}/batch/archive"),
    }
}

#[async_trait]
impl Destination for HubSpot {
    fn capabilities(&self, _object: &str) -> &Capabilities {
        &CAPABILITIES
    }

    async fn check(&self, account: &Account) -> Result<Identity, Fault> {
        const PATH: &str = "/account-info/v3/details";
        let request = Request::new(Method::GET, self.url(PATH)?, Class::Read, PATH);
        self.read(account, request, read::identity).await
    }

    async fn describe(&self, account: &Account, object: &str) -> Result<Vec<Field>, Fault> {
        let name = self.path_name(account, object).await?;
        let required = self.required(account, &name).await?;
        let url = self.url(&format!("/crm/v3/properties/{name}"))?;
        let request = Request::new(Method::GET, url, Class::Read, "/crm/v3/properties/{object}");
        let mut fields = self.read(account, request, |answer| read::fields(object, answer)).await?;
        fields.iter_mut().for_each(|field| field.required = required.contains(&field.name));
        Ok(fields)
    }

    async fn lookup(&self, account: &Account, query: &Lookup) -> Result<Vec<Found>, Fault> {
        let url = self.batch_url(account, &query.object, "read").await?;
        let mut found = Vec::new();
        for (first, values) in read::chunks(query, MAX_ROWS) {
            let asked = Asked::new(query, first, values);
            if asked.is_empty() {
                continue;
            }
            let request = Request::new(Method::POST, url.clone(), Class::Read, READ_ROUTE);
            found.extend(self.read(account, request.json(asked.body()), |answer| asked.found(answer)).await?);
        }
        Ok(found)
    }

    async fn deliver(&self, account: &Account, batch: &Batch) -> Result<Delivery, Fault> {
        let (action, route) = endpoint(batch.operation);
        let url = self.batch_url(account, &batch.object, action).await.map_err(|mut fault| {
            // Whatever became of the question for the object's name, the batch has not left.
            fault.sent = Sent::No;
            fault
        })?;
        let Encoded { body, sent, refused } = encode(batch);
        if sent.is_empty() {
            return Ok(Delivery::Rows(in_order(batch.rows.len(), refused, std::iter::empty())));
        }
        let request = Request::new(Method::POST, url, Class::Write, route).json(body);
        let response = self.send(account, request).await?;
        let question = Question {
            object: &batch.object,
            operation: batch.operation,
            id_property: batch.match_fields.first().map_or("", String::as_str),
            rows: &sent,
        };
        let outcomes = classify(&question, &Answer::of(&response));
        let outcomes = self.find_missing(account, batch, &sent, outcomes).await?;
        let positions = sent.iter().map(|row| row.position);
        Ok(Delivery::Rows(in_order(batch.rows.len(), refused, positions.zip(outcomes))))
    }

    async fn poll(&self, _account: &Account, _job: &Job) -> Result<JobState, Fault> {
        Err(Fault::new(FaultKind::Settings, Sent::No).because(AnswerProblem::Contract("HubSpot has no jobs")))
    }

    fn accepts(&self, _object: &str, record: RecordRef<'_>) -> Result<(), Unacceptable> {
        config::accepts(record)
    }

    fn encoded_len(&self, _object: &str, record: RecordRef<'_>) -> usize {
        row_len(record)
    }

    fn normalise_match(&self, object: &str, field: &str, value: &str) -> String {
        config::normalise(object, field, value)
    }

    fn match_is_exact(&self, object: &str, field: &str) -> bool {
        !config::is_email(object, field)
    }
}
