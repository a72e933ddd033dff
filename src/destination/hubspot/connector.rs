//! The connector: requests out, answers to the pure parts.

use std::collections::HashSet;

use async_trait::async_trait;
use http::Method;
use url::Url;

use super::{
    classify::{self, Question, classify},
    config::{self, CAPABILITIES, MAX_ROWS},
    encode::{Encoded, SentRow, encode, row_len},
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
}

impl HubSpot {
    /// A connector for the API at `base_url`, with the object endpoints under `objects_path` (`/crm/v3/objects`).
    pub(crate) fn new(base_url: Url, objects_path: &str) -> Self {
        Self { base_url, objects_path: objects_path.trim_end_matches('/').to_owned() }
    }

    fn url(&self, path: &str) -> Result<Url, Fault> {
        join(&self.base_url, path).map_err(|error| Fault::new(FaultKind::Settings, Sent::No).because(error))
    }

    /// `action` of an object's batch endpoint.
    fn batch_url(&self, object: &str, action: &str) -> Result<Url, Fault> {
        self.url(&format!("{}/{}/batch/{action}", self.objects_path, object_name(object)?))
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
        let request = Request::new(Method::POST, self.batch_url(&lookup.object, "read")?, Class::Read, READ_ROUTE);
        self.read(account, request.json(body), read::not_found).await
    }
}

const READ_ROUTE: &str = "{objects}/{object}/batch/read";

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
    fn capabilities(&self) -> &Capabilities {
        &CAPABILITIES
    }

    async fn check(&self, account: &Account) -> Result<Identity, Fault> {
        const PATH: &str = "/account-info/v3/details";
        let request = Request::new(Method::GET, self.url(PATH)?, Class::Read, PATH);
        self.read(account, request, read::identity).await
    }

    async fn describe(&self, account: &Account, object: &str) -> Result<Vec<Field>, Fault> {
        let url = self.url(&format!("/crm/v3/properties/{}", object_name(object)?))?;
        let request = Request::new(Method::GET, url, Class::Read, "/crm/v3/properties/{object}");
        self.read(account, request, |answer| read::fields(object, answer)).await
    }

    async fn lookup(&self, account: &Account, query: &Lookup) -> Result<Vec<Found>, Fault> {
        let url = self.batch_url(&query.object, "read")?;
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
        let url = self.batch_url(&batch.object, action)?;
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
