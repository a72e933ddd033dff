//! The connector: requests out, answers to the pure parts.

use async_trait::async_trait;
use http::{HeaderValue, Method, header::CONTENT_TYPE};
use url::Url;

use super::{
    classify::{classify, text_of},
    config::{HttpSettings, MAX_BYTES},
    encode::{Encoded, encode, row_len},
    operation::{Body, Call},
};
use crate::{
    destination::{
        Batch, Capabilities, Delivery, Destination, Field, Found, Identity, Job, JobState, Lookup, Unacceptable,
        answer::{Answer, AnswerProblem, in_order, join},
    },
    model::{RecordRef, Value},
    wire::{Account, Class, Fault, FaultKind, Request, Sent},
};

/// A generic JSON API.
#[derive(Debug)]
pub(crate) struct Http {
    base_url: Url,
    settings: HttpSettings,
}

fn settings(problem: &'static str) -> Fault {
    Fault::new(FaultKind::Settings, Sent::No).because(AnswerProblem::Contract(problem))
}

impl Http {
    /// A connector for the API at `base_url`.
    pub(crate) fn new(base_url: Url, settings: HttpSettings) -> Self {
        Self { base_url, settings }
    }

    fn url(&self, path: &str) -> Result<Url, Fault> {
        join(&self.base_url, path).map_err(|error| Fault::new(FaultKind::Settings, Sent::No).because(error))
    }

    fn request(&self, call: &Call, encoded: &Encoded<'_>) -> Result<Request, Fault> {
        let url = self.url(&encoded.path)?;
        let mut request = Request::new(call.method.clone(), url, Class::Write, call.route);
        if !matches!(call.body, Body::None) {
            request = request.json(encoded.body.clone()).header(CONTENT_TYPE, call.content_type.clone());
        }
        for (name, value) in &encoded.headers {
            request = request.header(name.clone(), value.clone());
        }
        // Hexadecimal digits always make a header value.
        let key = HeaderValue::try_from(&encoded.idempotency_key);
        let key = key.map_err(|_| settings("the idempotency key is no header value"))?;
        request = request.header(self.settings.idempotency_header.clone(), key);
        request.sign_as = self.settings.signs.then(|| encoded.idempotency_key.clone());
        Ok(request)
    }

    /// Bytes that a record takes in a body at most, whatever is done with it.
    fn size(&self, object: &str, record: RecordRef<'_>) -> Result<usize, String> {
        let sizes = self.settings.object(object).writes().map(|call| row_len(call, object, record));
        sizes.collect::<Result<Vec<_>, _>>().map(|sizes| sizes.into_iter().max().unwrap_or(0))
    }
}

#[async_trait]
impl Destination for Http {
    fn capabilities(&self, object: &str) -> &Capabilities {
        &self.settings.object(object).capabilities
    }

    /// Without `identity` the account is the host that the settings name; nothing is asked.
    async fn check(&self, account: &Account) -> Result<Identity, Fault> {
        let Some(identity) = &self.settings.identity else {
            let host = self.base_url.host_str().unwrap_or_default();
            let account = self.base_url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
            return Ok(Identity { account, time_zone: None });
        };
        let request = Request::new(Method::GET, self.url(&identity.path)?, Class::Read, "{identity.path}");
        let response = account.send(request).await?;
        let answer = Answer::of(&response);
        if !response.status.is_success() {
            return Err(answer.common_fault().unwrap_or_else(|| answer.fault(FaultKind::NotFound)));
        }
        let body: serde_json::Value = answer.json()?;
        let name = body.pointer(&identity.pointer).and_then(text_of);
        let account =
            name.ok_or_else(|| answer.protocol(AnswerProblem::Contract("no account at `identity.pointer`")))?;
        Ok(Identity { account, time_zone: None })
    }

    /// A generic API does not tell its fields: an empty list means that nothing is known.
    async fn describe(&self, _account: &Account, _object: &str) -> Result<Vec<Field>, Fault> {
        Ok(Vec::new())
    }

    async fn lookup(&self, _account: &Account, _query: &Lookup) -> Result<Vec<Found>, Fault> {
        Err(settings("an `http` destination has no lookup"))
    }

    async fn deliver(&self, account: &Account, batch: &Batch) -> Result<Delivery, Fault> {
        let object = self.settings.object(&batch.object);
        let call = object.call(batch.operation).ok_or_else(|| settings("the operation is not configured"))?;
        if batch.rows.len() > call.batch_size {
            return Err(settings("more rows than a request takes"));
        }
        let encoded =
            encode(call, batch).map_err(|problem| Fault::new(FaultKind::BatchRefused, Sent::No).because(problem))?;
        if encoded.sent.is_empty() {
            return Ok(Delivery::Rows(in_order(batch.rows.len(), encoded.refused, std::iter::empty())));
        }
        let response = account.send(self.request(call, &encoded)?).await?;
        let answer = Answer::of(&response);
        let outcomes = classify(call, batch.operation, &encoded.sent, &answer)?;
        let positions = encoded.sent.iter().map(|row| row.position);
        Ok(Delivery::Rows(in_order(batch.rows.len(), encoded.refused, positions.zip(outcomes))))
    }

    async fn poll(&self, _account: &Account, _job: &Job) -> Result<JobState, Fault> {
        Err(settings("an `http` destination has no jobs"))
    }

    fn accepts(&self, object: &str, record: RecordRef<'_>) -> Result<(), Unacceptable> {
        let bytes = record.fields().find(|(_, value)| matches!(value, Value::Bytes(_)));
        if let Some((field, _)) = bytes {
            let reason = "JSON cannot hold raw bytes; cast the column to text".to_owned();
            return Err(Unacceptable { field: field.to_owned(), reason });
        }
        let reason = match self.size(object, record) {
            Ok(size) if size <= MAX_BYTES => return Ok(()),
            Ok(_) => format!("the record takes more than {MAX_BYTES} bytes"),
            Err(reason) => reason,
        };
        let field = record.fields().next().map_or("", |(field, _)| field).to_owned();
        Err(Unacceptable { field, reason })
    }

    fn encoded_len(&self, object: &str, record: RecordRef<'_>) -> usize {
        // A record that cannot be written has been refused before.
        self.size(object, record).unwrap_or(0)
    }

    fn normalise_match(&self, _object: &str, _field: &str, value: &str) -> String {
        value.to_owned()
    }

    fn match_is_exact(&self, _object: &str, _field: &str) -> bool {
        true
    }
}
